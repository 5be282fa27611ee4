import type { Difference, HistoryEntry, InboxClaim, InboxEntry, InboxRow, InboxStats } from 'conversion-webhook'
import { isOf, numberOf, ranked } from '../inspector/claims.js'
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
} as const satisfies Record<InboxRow['state'], unknown>

/** The maximum length of the order id of an accepted callback. */
const cellLength = 255
/** The maximum size of a callback's parameters. */
const textLength = 16_384

function timeOf(date: Date): string {
  return date.toISOString().replace('T', ' ').replace('Z', '')
}

/** Printed after the state of a row if another claim has the row's order. */
const mark = '*'

/** A line that explains the mark, if a row has it. */
export function markLine(rows: readonly InboxRow[]): string | undefined {
  return rows.some(isMarked) ? `${mark} another claim has the order; inbox show says which` : undefined
}

function isMarked({ takenBy }: InboxRow): boolean {
  return takenBy !== undefined
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
      code ?? lastError?.code ?? '',
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
    ['order', takenBy === undefined ? undefined : `another claim has it: ${takenBy}`],
    ['agrees with', agreesWith === undefined ? undefined : `the claim ${agreesWith}`],
    ...(issues ?? []).map(({ message }) => ['', message] as const),
  ]
  const known = facts.flatMap(([name, text]) => (text === undefined ? [] : [[name, text]]))
  return [
    ...table(known),
    '',
    paint('bold', 'Received'),
    ...(Object.keys(params).length === 0
      ? ['nothing is kept']
      : table(Object.entries(params).map(([name, text]) => [shorten(name, cellLength), shorten(text, textLength)]))),
    ...(differs.length === 0
      ? []
      : ['', paint('bold', 'Why it is a conflict'), ...table([differenceHead, ...differs.map(differenceCells)])]),
    ...(claims.length === 0
      ? []
      : [
          '',
          paint('bold', 'Claims of the order'),
          ...table(claims.flatMap((claim, at) => claimRows(claim, at, entry))),
        ]),
    '',
    paint('bold', 'History (UTC)'),
    ...table(entry.history.map((each) => historyCells(each, claims))),
  ]
}

const differenceHead = ['parameter', 'recorded', 'received']

function differenceCells({ parameter, recorded, received }: Difference): string[] {
  return [parameter, ...[recorded, received].map((text) => (text === undefined ? '-' : shorten(text, cellLength)))]
}

/** Two rows for a claim: one with both addresses would be too wide. */
function claimRows(claim: InboxClaim, index: number, row: InboxRow): string[][] {
  const { id, status, hasOrder, referrerEmail, refereeEmail, purchaseValue } = claim
  const marks = [...(hasOrder ? ['has the order'] : []), ...(isOf(claim, row) ? ['this one'] : [])]
  const about = [status, ...(purchaseValue === undefined ? [] : [String(purchaseValue)]), ...marks].join(', ')
  const people = [referrerEmail, refereeEmail].map((email) => (email === undefined ? '-' : shorten(email, cellLength)))
  return [
    [String(index + 1), `${id}  ${about}`],
    ...(people.every((text) => text === '-') ? [] : [['', people.join(' referred ')]]),
  ]
}

function historyCells(entry: HistoryEntry, claims: readonly InboxClaim[]): string[] {
  const { at, what, event, attempt, code, message, count } = entry
  const claim = numberOf(claims, entry)
  const details = [
    claim === undefined ? '' : `claim ${figure(claim)}`,
    attempt === undefined ? '' : `attempt ${String(attempt)}`,
    count === undefined ? '' : `${figure(count)} times`,
    code ?? '',
    message ?? '',
  ]
  return [timeOf(at), what, event ?? '', details.filter((text) => text !== '').join(', ')]
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
    ...table(
      moves.flatMap(({ from, to }) => [
        ['  from', from],
        ['  to', to],
      ]),
    ),
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
