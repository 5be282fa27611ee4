import type { HistoryEntry, InboxEntry, InboxRow, InboxStats } from 'conversion-webhook'
import { shorten, visible } from '../visible.js'
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

/** As long as the order id of an accepted callback may be. */
const cellLength = 255
/** As much as a callback may hold. */
const textLength = 16_384

function timeOf(date: Date): string {
  return date.toISOString().replace('T', ' ').replace('Z', '')
}

export function rowLines(rows: readonly InboxRow[], paint: Paint): string[] {
  if (rows.length === 0) return ['Nothing is recorded that fits.']
  const head = ['received (UTC)', 'state', 'event', 'order', 'scope', 'attempts', 'id', 'last error']
  const cells = rows.map(({ receivedAt, state, event, kind, params, scope, attempts, id, lastError, code }) => [
    timeOf(receivedAt),
    state,
    event ?? kind,
    shorten(params.orderID ?? '', cellLength),
    shorten(scope, cellLength),
    String(attempts),
    id,
    lastError?.code ?? code ?? '',
  ])
  const [title = '', ...lines] = table([head, ...cells])
  const painted = lines.map((line, at) => {
    const state = rows[at]?.state ?? 'done'
    return line.replace(state, paint(stateStyles[state], state))
  })
  return [paint('bold', title), ...painted]
}

export function entryLines(entry: InboxEntry, paint: Paint): string[] {
  const { id, state, event, kind, scope, receivedAt, attempts, lastError, code, issues, params } = entry
  const { startedAt, nextAttemptAt, heldUntil } = entry
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
    ...(issues ?? []).map(({ message }) => ['', message] as const),
  ]
  const known = facts.flatMap(([name, text]) => (text === undefined ? [] : [[name, text]]))
  return [
    ...table(known),
    '',
    paint('bold', 'Received'),
    ...(Object.keys(params).length === 0
      ? ['nothing any more']
      : table(Object.entries(params).map(([name, text]) => [shorten(name, cellLength), shorten(text, textLength)]))),
    '',
    paint('bold', 'History (UTC)'),
    ...table(entry.history.map(historyCells)),
  ]
}

function historyCells({ at, what, event, attempt, code, message, count }: HistoryEntry): string[] {
  const details = [
    attempt === undefined ? '' : `attempt ${String(attempt)}`,
    count === undefined ? '' : `${figure(count)} times`,
    code ?? '',
    message ?? '',
  ]
  return [timeOf(at), what, event ?? '', details.filter((text) => text !== '').join(', ')]
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
  ].map(visible)
}
