import type { Difference, HistoryEntry, InboxClaim, InboxEntry, InboxRow } from 'conversion-webhook'
import { shorten } from '../util/printable.js'
import { isOf, numberOf, orderNote, ranked, replayOf } from './claims.js'
import { maskAddresses, maskEmail, maskName } from './mask.js'

/**
 * Maximum length of a string in the table. It keeps a page of rows below the limit of 1 MiB an answer, whatever strangers sent. An entry
 * shows strings up to `textLength`, as many as a callback can hold.
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

/** The mask of each parameter, in the order of the platform's document. An order id can be an address. */
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

/** The place of a parameter. Unknown ones come last, in the order in which they were sent. */
function placeOf(name: string): number {
  const place = names.indexOf(name)
  return place === -1 ? names.length : place
}

/** The value of a parameter. The value of an unknown parameter is masked like a name, since it can be anything. */
function valueView(name: string, text: string, max: number, isUnmasked: boolean): string {
  return textView(text, max, isUnmasked, masks.get(name) ?? maskName)
}

function recordedView(name: string, text: string | undefined, isUnmasked: boolean): string | undefined {
  return text === undefined ? undefined : valueView(name, text, textLength, isUnmasked)
}

/** A string that may contain an e-mail address. */
function textView(text: string, max: number, isUnmasked: boolean, mask = maskAddresses): string {
  return isUnmasked ? shorten(text, max) : shorten(text, max, mask)
}

export type RowView = ReturnType<typeof rowView>

/** The part of a row that the table shows. Times are ISO 8601. Without `isUnmasked` it holds no name and no address. */
export function rowView(row: InboxRow, isUnmasked: boolean) {
  const { id, kind, state, event, scope, code, attempts, receivedAt, params, lastError } = row
  const cell = (name: string): string[] => {
    const text = params[name]
    return text === undefined ? [] : [valueView(name, text, cellLength, isUnmasked)]
  }
  return {
    id,
    kind,
    state,
    event,
    code,
    attempts,
    scope: textView(scope, cellLength, isUnmasked),
    receivedAt: receivedAt.toISOString(),
    orderId: cell('orderID')[0],
    orderNote: orderNote(row),
    /** The name and the e-mail address, as far as they were sent. */
    referrer: [...cell('referrer_name'), ...cell('referrer_email')],
    referee: [...cell('referee_name'), ...cell('referee_email')],
    nextAttemptAt: row.nextAttemptAt?.toISOString(),
    heldUntil: row.heldUntil?.toISOString(),
    lastError: lastError && withMessage(lastError, cellLength, isUnmasked),
  }
}

/** Masks the message of an error: a handler's error may contain an e-mail address. */
function withMessage<T extends { readonly message?: string }>(of: T, max: number, isUnmasked: boolean): T {
  return of.message === undefined ? of : { ...of, message: textView(of.message, max, isUnmasked) }
}

export type EntryView = ReturnType<typeof entryView>

/** A row with all that the page shows of it, as much as fits into an answer. */
export function entryView(entry: InboxEntry, isUnmasked: boolean) {
  const { kind, state, params, conversion, startedAt, issues = [], differs = [], history } = entry
  const claims = ranked(entry.claims)
  const shownClaims = fitting(claims, partBytes.claims, (claim) => claimView(claim, entry, isUnmasked))
  const received = Object.entries(params).sort(([a], [b]) => placeOf(a) - placeOf(b))
  const { extra = {}, repairs = [] } = conversion ?? {}
  const strangers = Object.entries(extra)
  const tell = (text: string): string => textView(text, textLength, isUnmasked)
  const newest = fitting([...history].reverse(), partBytes.history, (each) => historyView(each, claims, isUnmasked))
  return {
    ...rowView(entry, isUnmasked),
    startedAt: startedAt?.toISOString(),
    /** In the order of the platform's documentation; unknown ones last. */
    params: fitting([...received, ...strangers], partBytes.params, ([name, text]) => {
      return [tell(name), valueView(name, text, textLength, isUnmasked)] as const
    }),
    repairs: fitting(repairs, partBytes.repairs, (repair) => ({ ...repair, parameter: tell(repair.parameter) })),
    issues: fitting(issues, partBytes.issues, ({ message }) => tell(message)),
    differs: fitting(differs, partBytes.differs, (each) => differenceView(each, isUnmasked)),
    /** First the claim that has the order. */
    claims: shownClaims,
    otherClaims: claims.length - shownClaims.length,
    history: newest.reverse(),
    olderHistory: history.length - newest.length,
    canReplay: replayable[kind].includes(state),
    replay: replayOf(entry),
  }
}

export type ClaimView = ReturnType<typeof claimView>

function claimView(claim: InboxClaim, row: InboxRow, isUnmasked: boolean) {
  const { id, status, hasOrder, referrerEmail, refereeEmail, purchaseValue } = claim
  return {
    id,
    status,
    hasOrder,
    /** Whether the row belongs to this claim. */
    isOwn: id === row.agreesWith || isOf(claim, row),
    referrer: recordedView('referrer_email', referrerEmail, isUnmasked),
    referee: recordedView('referee_email', refereeEmail, isUnmasked),
    purchaseValue,
  }
}

function differenceView({ parameter, ...values }: Difference, isUnmasked: boolean) {
  const tell = (text: string | undefined) => recordedView(parameter, text, isUnmasked)
  return { parameter, recorded: tell(values.recorded), received: tell(values.received) }
}

const replayable: Readonly<Record<InboxRow['kind'], readonly InboxRow['state'][]>> = {
  delivery: ['dead', 'refused', 'waiting'],
  refused: ['refused'],
  conflict: ['conflict'],
}

export type HistoryView = ReturnType<typeof historyView>

function historyView(entry: HistoryEntry, claims: readonly InboxClaim[], isUnmasked: boolean) {
  return {
    ...withMessage(entry, textLength, isUnmasked),
    at: entry.at.toISOString(),
    /** The number of the entry's claim, if there are several. */
    claim: numberOf(claims, entry),
  }
}

/** Makes views of items, from the first, until their JSON would take more than `bytes`. */
function fitting<Item, View>(items: readonly Item[], bytes: number, viewOf: (item: Item) => View): View[] {
  const views: View[] = []
  let left = bytes
  for (const item of items) {
    const view = viewOf(item)
    left -= Buffer.byteLength(JSON.stringify(view)) + 1 // the comma
    if (left < 0) break
    views.push(view)
  }
  return views
}
