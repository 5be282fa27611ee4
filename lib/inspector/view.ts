import type { Difference, HistoryEntry, InboxClaim, InboxEntry, InboxRow } from 'conversion-webhook'
import type { ClaimView, EntryView, HistoryView, PersonView, RowView } from './api.js'
import { shorten } from '../util/printable.js'
import { isOf, numberOf, ranked, replayOf } from './claims.js'
import { fitting } from './fitting.js'
import { maskAddresses, maskEmail, maskName } from './mask.js'

/**
 * Characters of a text in a cell of the table: so few that a page of rows stays below the 1 MiB at which an answer ends, whatever
 * strangers sent. The entry shows a text as far as a callback can hold it.
 */
const cellLength = 200
const textLength = 16_384
/** Bytes of JSON for each part of an entry; together they stay below 1 MiB. */
const partBytes = {
  params: 256 * 1024,
  repairs: 64 * 1024,
  issues: 64 * 1024,
  differs: 16 * 1024,
  claims: 192 * 1024,
  history: 384 * 1024,
}

/** How the texts of each parameter are masked, in the order of the platform's document. An order id can be an address. */
const masks: ReadonlyMap<string, (text: string) => string> = new Map([
  ['conversion', maskAddresses],
  ['referrer_name', maskName],
  ['referrer_email', maskEmail],
  ['referee_name', maskName],
  ['referee_email', maskEmail],
  ['orderID', maskAddresses],
  ['purchaseValue', maskAddresses],
  ['referrer_converts', maskAddresses],
  ['referrer_customValue', maskName],
  ['goal_complete', maskAddresses],
])

const names = [...masks.keys()]

/** The place of a parameter; a refused callback's may be strangers, which come last, in the order in which they were sent. */
function placeOf(name: string): number {
  const place = names.indexOf(name)
  return place === -1 ? names.length : place
}

/** What a parameter says; what the texts of a stranger mean nobody knows. */
function said(name: string, text: string, max: number, isUnmasked: boolean): string {
  return isUnmasked ? shorten(text, max) : shorten(text, max, masks.get(name) ?? maskName)
}

/** A text that may mention somebody. */
function told(text: string, max: number, isUnmasked: boolean): string {
  return isUnmasked ? shorten(text, max) : shorten(text, max, maskAddresses)
}

/** A row for the table, short. Without `isUnmasked` it holds no name and no address. */
export function rowView(row: InboxRow, isUnmasked: boolean): RowView {
  const { id, kind, state, event, scope, code, takenBy, attempts, receivedAt, params } = row
  const { nextAttemptAt, heldUntil, lastError } = row
  const cell = (name: string): string | undefined => {
    const text = params[name]
    return text === undefined ? undefined : said(name, text, cellLength, isUnmasked)
  }
  const orderId = cell('orderID')
  const referrer = person(cell('referrer_name'), cell('referrer_email'))
  const referee = person(cell('referee_name'), cell('referee_email'))
  return {
    id,
    kind,
    state,
    scope: told(scope, cellLength, isUnmasked),
    attempts,
    receivedAt: receivedAt.toISOString(),
    ...(event && { event }),
    ...(code && { code }),
    ...(takenBy !== undefined && { takenBy }),
    ...(orderId !== undefined && { orderId }),
    ...(referrer && { referrer }),
    ...(referee && { referee }),
    ...(nextAttemptAt && { nextAttemptAt: nextAttemptAt.toISOString() }),
    ...(heldUntil && { heldUntil: heldUntil.toISOString() }),
    ...(lastError && { lastError: withMessage(lastError, cellLength, isUnmasked) }),
  }
}

function person(name: string | undefined, email: string | undefined): PersonView | undefined {
  if (name === undefined && email === undefined) return undefined
  return { ...(name !== undefined && { name }), ...(email !== undefined && { email }) }
}

/** Handlers may name people in their errors. */
function withMessage<T extends { readonly message?: string }>(of: T, max: number, isUnmasked: boolean): T {
  return of.message === undefined ? of : { ...of, message: told(of.message, max, isUnmasked) }
}

export function entryView(entry: InboxEntry, isUnmasked: boolean): EntryView {
  const { kind, state, params, conversion, startedAt, issues = [], differs = [], history } = entry
  const claims = ranked(entry.claims)
  const shownClaims = fitting(claims, partBytes.claims, (claim) => claimView(claim, entry, isUnmasked))
  const received = Object.entries(params).sort(([a], [b]) => placeOf(a) - placeOf(b))
  const strangers = Object.entries(conversion?.extra ?? {})
  const tell = (text: string): string => told(text, textLength, isUnmasked)
  const newest = fitting([...history].reverse(), partBytes.history, (each) => historyView(each, claims, isUnmasked))
  return {
    ...rowView(entry, isUnmasked),
    ...(startedAt && { startedAt: startedAt.toISOString() }),
    params: fitting([...received, ...strangers], partBytes.params, ([name, text]) => [
      tell(name),
      said(name, text, textLength, isUnmasked),
    ]),
    repairs: fitting(conversion?.repairs ?? [], partBytes.repairs, ({ parameter, kind: repair }) => ({
      parameter: tell(parameter),
      kind: repair,
    })),
    issues: fitting(issues, partBytes.issues, ({ message }) => tell(message)),
    differs: fitting(differs, partBytes.differs, (each) => differenceView(each, isUnmasked)),
    claims: shownClaims,
    otherClaims: claims.length - shownClaims.length,
    history: newest.reverse(),
    olderHistory: history.length - newest.length,
    canReplay: replayable[kind].includes(state),
    replay: replayOf(entry),
  }
}

function claimView(claim: InboxClaim, row: InboxRow, isUnmasked: boolean): ClaimView {
  const { id, status, hasOrder, referrerEmail, refereeEmail, purchaseValue } = claim
  return {
    id,
    status,
    hasOrder,
    isOwn: id === row.agreesWith || isOf(claim, row),
    ...(referrerEmail !== undefined && { referrer: said('referrer_email', referrerEmail, textLength, isUnmasked) }),
    ...(refereeEmail !== undefined && { referee: said('referee_email', refereeEmail, textLength, isUnmasked) }),
    ...(purchaseValue !== undefined && { purchaseValue }),
  }
}

function differenceView({ parameter, recorded, received }: Difference, isUnmasked: boolean): Difference {
  return {
    parameter,
    ...(recorded !== undefined && { recorded: said(parameter, recorded, textLength, isUnmasked) }),
    ...(received !== undefined && { received: said(parameter, received, textLength, isUnmasked) }),
  }
}

const replayable: Readonly<Record<InboxRow['kind'], readonly InboxRow['state'][]>> = {
  delivery: ['dead', 'refused', 'waiting'],
  refused: ['refused'],
  conflict: ['conflict'],
}

function historyView(entry: HistoryEntry, claims: readonly InboxClaim[], isUnmasked: boolean): HistoryView {
  const claim = numberOf(claims, entry)
  return {
    ...withMessage(entry, textLength, isUnmasked),
    at: entry.at.toISOString(),
    ...(claim !== undefined && { claim }),
  }
}
