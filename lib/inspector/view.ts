import type { HistoryEntry, InboxEntry, InboxRow } from 'conversion-webhook'
import type { EntryView, HistoryView, PersonView, RowView } from './api.js'
import { maskAddresses, maskEmail, maskName } from './mask.js'

/** How the texts of each parameter are masked, in the order in which they are shown. An order id can be an address. */
const masks: ReadonlyMap<string, (text: string) => string> = new Map([
  ['conversion', maskAddresses],
  ['orderID', maskAddresses],
  ['purchaseValue', maskAddresses],
  ['goal_complete', maskAddresses],
  ['referrer_name', maskName],
  ['referrer_email', maskEmail],
  ['referrer_converts', maskAddresses],
  ['referrer_customValue', maskName],
  ['referee_name', maskName],
  ['referee_email', maskEmail],
])

const names = [...masks.keys()]

/** What the texts of a stranger mean nobody knows. */
function masked(name: string, text: string): string {
  return (masks.get(name) ?? maskName)(text)
}

/** A row for the table. Without `isUnmasked` it holds no name and no address. */
export function rowView(row: InboxRow, isUnmasked: boolean): RowView {
  const { id, kind, state, event, scope, code, attempts, receivedAt, nextAttemptAt, lastError, params } = row
  const said = (name: string): string | undefined => {
    const text = params[name]
    return text === undefined || isUnmasked ? text : masked(name, text)
  }
  const orderId = said('orderID')
  const referrer = person(said('referrer_name'), said('referrer_email'))
  const referee = person(said('referee_name'), said('referee_email'))
  return {
    id,
    kind,
    state,
    scope: isUnmasked ? scope : maskAddresses(scope),
    attempts,
    receivedAt: receivedAt.toISOString(),
    ...(event && { event }),
    ...(code && { code }),
    ...(orderId !== undefined && { orderId }),
    ...(referrer && { referrer }),
    ...(referee && { referee }),
    ...(nextAttemptAt && { nextAttemptAt: nextAttemptAt.toISOString() }),
    ...(lastError && { lastError: withMessage(lastError, isUnmasked) }),
  }
}

function person(name: string | undefined, email: string | undefined): PersonView | undefined {
  if (name === undefined && email === undefined) return undefined
  return { ...(name !== undefined && { name }), ...(email !== undefined && { email }) }
}

/** Handlers may name people in their errors. */
function withMessage<T extends { readonly message?: string }>(told: T, isUnmasked: boolean): T {
  return told.message === undefined || isUnmasked ? told : { ...told, message: maskAddresses(told.message) }
}

export function entryView(entry: InboxEntry, isUnmasked: boolean): EntryView {
  const { kind, state, params, conversion, issues = [], history } = entry
  const received = Object.entries(params).sort(([a], [b]) => names.indexOf(a) - names.indexOf(b))
  const strangers = Object.entries(conversion?.extra ?? {})
  const told = (text: string): string => (isUnmasked ? text : maskAddresses(text))
  return {
    ...rowView(entry, isUnmasked),
    params: [...received, ...strangers].map(([name, text]) => [told(name), isUnmasked ? text : masked(name, text)]),
    repairs: (conversion?.repairs ?? []).map(({ parameter, kind: repair }) => ({
      parameter: told(parameter),
      kind: repair,
    })),
    issues: issues.map(({ message }) => told(message)),
    history: history.map((each) => historyView(each, isUnmasked)),
    canReplay: replayable[kind].includes(state),
  }
}

const replayable: Readonly<Record<InboxRow['kind'], readonly InboxRow['state'][]>> = {
  delivery: ['dead', 'refused', 'waiting'],
  refused: ['refused'],
  conflict: ['conflict'],
}

function historyView(entry: HistoryEntry, isUnmasked: boolean): HistoryView {
  return { ...withMessage(entry, isUnmasked), at: entry.at.toISOString() }
}
