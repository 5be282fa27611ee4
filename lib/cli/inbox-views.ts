import type { HistoryEntry, InboxClaim, InboxEntry, InboxRow, InboxStats } from 'conversion-webhook'
import { isOf, numberOf, orderNote, ranked, taken } from '../inspector/claims.js'
import { shorten, printable } from '../util/printable.js'
import { figure, table, type Paint } from './io.js'

const stateStyles = {
  waiting: 'yellow',
  running: 'cyan',
  done: 'green',
  dead: 'red',
  withdrawn: 'dim',
  refused: 'magenta',
  conflict: 'magenta',
  unreadable: 'red',
} as const satisfies Record<InboxRow['state'], unknown>

/** The maximum length of the order id of an accepted callback. */
const cellLength = 255
/** The maximum size of a callback's parameters. */
const textLength = 16_384

function timeOf(date: Date): string {
  return date.toISOString().replace('T', ' ').replace('Z', '')
}

/** Stands behind the state of a row if another claim has the row's order. */
const mark = '*'

export function markLines(rows: readonly InboxRow[]): string[] {
  return rows.some(isMarked) ? [`${mark} ${taken}; inbox show says which`] : []
}

function isMarked(row: InboxRow): boolean {
  return orderNote(row) === taken
}

export function rowLines(rows: readonly InboxRow[], paint: Paint): string[] {
  if (rows.length === 0) return ['No record matches.']
  const head = ['received (UTC)', 'state', 'event', 'order', 'scope', 'attempts', 'id', 'last error']
  const cells = rows.map((row) => {
    const { receivedAt, state, event, kind, params, scope, attempts, id, lastError, code } = row
    return [
      timeOf(receivedAt),
      state + (isMarked(row) ? mark : ''),
      event ?? kind,
      shorten(params.orderID ?? '', cellLength),
      shorten(scope, cellLength),
      String(attempts),
      id,
      code ?? lastError?.code ?? (isMarked(row) ? '' : (orderNote(row) ?? '')),
    ]
  })
  const [title = '', ...lines] = table([head, ...cells])
  const painted = lines.map((line, at) => {
    const state = rows[at]?.state ?? 'done'
    return line.replace(state, paint(stateStyles[state], state))
  })
  return [paint('bold', title), ...painted]
}

export function entryLines(entry: InboxEntry, paint: Paint): string[] {
  const { id, state, event, kind, scope, receivedAt, attempts, lastError, code, issues, params } = entry
  const { startedAt, nextAttemptAt, heldUntil, takenBy, agreesWith, differs = [] } = entry
  const claims = ranked(entry.claims)
  const facts: (readonly [string, string | undefined])[] = [
    ['id', id],
    ['state', state],
    ['event', event ?? kind],
    ['scope', scope === '' ? undefined : scope],
    ['received', timeOf(receivedAt)],
    ['attempts', String(attempts)],
    ['last attempt', startedAt && timeOf(startedAt)],
    ['next attempt', nextAttemptAt && timeOf(nextAttemptAt)],
    ['held until', heldUntil && timeOf(heldUntil)],
    ['last error', lastError && [lastError.code, lastError.message].filter(Boolean).join(' ')],
    ['refused', code],
    ['order', takenBy && `${isMarked(entry) ? 'another claim has it' : 'recorded for the claim'}: ${takenBy}`],
    ['agrees with', agreesWith === undefined ? undefined : `the claim ${agreesWith}`],
    ...(issues ?? []).map(({ message }) => ['', message] as const),
  ]
  const section = (title: string, rows: readonly (readonly string[])[]): string[] =>
    rows.length === 0 ? [] : ['', paint('bold', title), ...table(rows)]
  const received = Object.entries(params).map(([name, text]) => [shorten(name, cellLength), shorten(text, textLength)])
  const differences = differs.map(({ parameter, recorded, received }) => [parameter, cell(recorded), cell(received)])
  if (differences.length > 0) differences.unshift(['parameter', 'recorded', 'received'])
  const claimed = claims.flatMap((claim, at) => claimRows(claim, at, entry))
  const events = entry.history.map((each) => historyCells(each, claims))
  return [
    ...table(facts.flatMap(([name, text]) => (text === undefined ? [] : [[name, text]]))),
    ...section('Received', received.length === 0 ? [['nothing is kept']] : received),
    ...section('Why it is a conflict', differences),
    ...section('Claims of the order', claimed),
    ...section('History (UTC)', events),
  ]
}

function cell(text: string | undefined): string {
  return text === undefined ? '-' : shorten(text, cellLength)
}

/** Two rows for a claim: one with both addresses would be too wide. */
function claimRows(claim: InboxClaim, index: number, row: InboxRow): string[][] {
  const { id, status, hasOrder, referrerEmail, refereeEmail, purchaseValue } = claim
  const marks = [...(hasOrder ? ['has the order'] : []), ...(isOf(claim, row) ? ['this one'] : [])]
  const about = [status, ...(purchaseValue === undefined ? [] : [String(purchaseValue)]), ...marks].join(', ')
  const people = `${cell(referrerEmail)} referred ${cell(refereeEmail)}`
  const hasPeople = referrerEmail !== undefined || refereeEmail !== undefined
  return [[String(index + 1), `${id}  ${about}`], ...(hasPeople ? [['', people]] : [])]
}

function historyCells(entry: HistoryEntry, claims: readonly InboxClaim[]): string[] {
  const { at, what, event, attempt, code, message, count } = entry
  const claim = numberOf(claims, entry)
  const details = [
    claim && `claim ${figure(claim)}`,
    attempt === undefined ? undefined : `attempt ${String(attempt)}`,
    count === undefined ? undefined : `${figure(count)} times`,
    code,
    message,
  ]
  return [timeOf(at), what, event ?? '', details.filter(Boolean).join(', ')]
}

/** A replay takes the order from the claim `from` and gives it to the claim of the row `to`. */
export interface Move {
  readonly from: string
  readonly to: string
}

export function moveLines(moves: readonly Move[]): string[] {
  if (moves.length === 0) return []
  return [
    'The order moves to another claim when confirm says yes, or immediately if there is no confirm:',
    ...moves.flatMap(({ from, to }) => [`  from  ${from}`, `  to    ${to}`]).map(printable),
    'If the claim that had the order was paid, take that payment back yourself.',
  ]
}

export function statsLines({ callbacks, deliveries, oldestWaitingMs, perDay }: InboxStats): string[] {
  const counts = (of: Readonly<Record<string, number>>): string[][] =>
    Object.entries(of).map(([name, count]) => [`  ${name}`, figure(count).padStart(12)])
  const days = (perDay ?? []).map(({ day, success, fail, pending }) => [day, ...[success, fail, pending].map(String)])
  return [
    'Callbacks, by outcome',
    ...table(counts(callbacks)),
    'Deliveries, by state',
    ...table(counts(deliveries)),
    `Oldest waiting: ${oldestWaitingMs === 0 ? 'none' : `${figure(oldestWaitingMs / 1_000)} s`}`,
    ...(days.length === 0 ? [] : ['', ...table([['day (UTC)', 'success', 'fail', 'pending'], ...days])]),
  ].map(printable)
}
