import type { Callback } from '../callback/conversion.js'
import type { ConversionErrorCode } from '../errors.js'
import { isDelivered, isPlainFailDone, type Decision, type Entry, type Recorded } from './ledger.js'
import type { ConversionEvent, DeliveryState, Previous } from './vocabulary.js'

/** One event of one claim on its way to its handler, as every store keeps it. */
export interface Delivery extends Entry {
  /** The callback that caused the event; after a withdrawn delivery was brought back, the later callback that did so. */
  readonly callback: Callback
  /** Attempts since the delivery was recorded or replayed, without those that `confirm` held. */
  readonly attempts: number
  /** How often in a row `confirm` has answered `'hold'`; a failure or a date resets the number. */
  readonly holds: number
  /** When `confirm` first held the delivery. */
  readonly heldSince?: number | undefined
  /** When the last attempt began, in milliseconds since 1970; kept when the attempt ends. */
  readonly startedAt?: number | undefined
  /** The first date that `confirm` answered. */
  readonly firstDate?: number | undefined
  /** The date that `confirm` answered, in milliseconds since 1970, while the delivery waits for it; the same as `dueAt`. */
  readonly heldUntil?: number | undefined
  /** While the delivery waits: the earliest time of the next attempt, in milliseconds since 1970. */
  readonly dueAt: number
  /** While the delivery runs: the owner of the attempt, in SQLite a process, in PostgreSQL a ticket. */
  readonly owner?: string | undefined
  readonly settledAt?: number | undefined
  /** The claim that had the order when this delivery was refused because of that. */
  readonly takenBy?: string | undefined
  /**
   * A person replayed the delivery while another claim had the order: the next yes takes the order from that claim. Once the claim has its
   * orders, `takesOrder` is cleared in all its deliveries, since a person may later move the orders on.
   */
  readonly takesOrder?: boolean | undefined
  /** What happened to the delivery between its recording and its settlement; only the last entries are kept. */
  readonly log: readonly LogEntry[]
}

/** Identifies an attempt at a delivery: one owner may make several, one after another. */
export type AttemptMark = Pick<Delivery, 'owner' | 'startedAt'>

/** Whether two attempts at one delivery are the same one. */
export function isSameAttempt(one: AttemptMark, other: AttemptMark): boolean {
  return one.owner !== undefined && one.owner === other.owner && one.startedAt === other.startedAt
}

/** One thing that happened to a delivery or a quarantined callback. */
export interface LogEntry {
  /** Milliseconds since 1970. */
  readonly at: number
  readonly what: 'recorded' | 'failed' | 'held' | 'lapsed' | 'replayed' | DeliveryState
  readonly attempt?: number
  readonly code?: ConversionErrorCode
  /** The error's own message, cut to 1,000 characters; only the last five messages are kept. */
  readonly message?: string
}

const maxEntries = 20
const maxMessages = 5

/* Shared, since most claims are delivered at once, and are kept in memory by the thousands. */
const noLog: readonly LogEntry[] = []
const noRepeats: ClaimRecord['repeats'] = {}

/** The last 20 entries, with their last 5 messages: a delivery may be tried and held for weeks. */
export function logged(log: readonly LogEntry[], ...entries: readonly LogEntry[]): readonly LogEntry[] {
  const kept = [...log, ...entries].slice(-maxEntries)
  let over = kept.filter(({ message }) => message !== undefined).length - maxMessages
  return kept.map((entry) => (entry.message !== undefined && over-- > 0 ? withoutMessage(entry) : entry))
}

function withoutMessage({ message: _message, ...entry }: LogEntry): LogEntry {
  return entry
}

/** How often something came again, and when; times in milliseconds since 1970. */
export interface Repeats {
  readonly count: number
  readonly firstAt: number
  readonly lastAt: number
}

/** The two addresses of a callback, as they are compared. A missing address is a value of its own. */
export interface People {
  readonly referrerEmail?: string | undefined
  readonly refereeEmail?: string | undefined
}

/** The ids and people of a claim. */
export interface ClaimHead extends People {
  readonly id: string
  /** The claims of an identity share its lock. */
  readonly identity: string
  /** A hash of the people, kept after prune and erase. Absent for a replayed conflict: no callback belongs to one by its people. */
  readonly peopleHash?: string | undefined
}

/** Everything that is recorded of one claim. A store reads and writes the whole record while the identity is locked. */
export interface ClaimRecord extends Recorded, ClaimHead {
  readonly scope: string
  /** The reserved order, as an identity: the claim's own, unless `confirm` named another order. Absent before a reservation. */
  readonly order?: string | undefined
  readonly deliveries: readonly Delivery[]
  readonly repeats: Readonly<Partial<Record<'duplicate' | 'stale', Repeats>>>
}

/** Identifies a delivery within its claim. */
export type DeliveryKey = ConversionEvent | 'reversal'

export function keyOf({ event, reversal }: Pick<Entry, 'event' | 'reversal'>): DeliveryKey {
  return reversal ? 'reversal' : event
}

/** The idempotency key that handlers see as `context.id`: the same for every repeat, retry, replay and restart. */
export function deliveryId(claim: string, key: DeliveryKey): string {
  return `${claim}:${key}`
}

export function isUnsettled({ state }: Entry): boolean {
  return state === 'waiting' || state === 'running'
}

/** Whether the delivery waits because `confirm` held its last attempt. */
export function isHeld({ state, holds, heldUntil }: Delivery): boolean {
  return state === 'waiting' && (holds > 0 || heldUntil !== undefined)
}

/** A sum to which a delivery is added, or taken out of with -1. */
interface Counter {
  delivery(state: DeliveryState | 'held', event: ConversionEvent, receivedAt: number, by: 1 | -1): void
}

/** Counts what a change made of the deliveries of a claim: one that was removed or replaced no longer counts in its former state. */
export function countDeliveries(before: ClaimRecord | undefined, { deliveries }: ClaimRecord, tally: Counter): void {
  const count = (delivery: Delivery, by: 1 | -1): void => {
    const { state, event, callback } = delivery
    tally.delivery(isHeld(delivery) ? 'held' : state, event, callback.receivedAt, by)
  }
  const old = before?.deliveries ?? []
  for (const delivery of old) if (!deliveries.includes(delivery)) count(delivery, -1)
  for (const delivery of deliveries) if (!old.includes(delivery)) count(delivery, 1)
}

/** Whether a delivery of the claim runs. */
export function isRunning({ deliveries }: ClaimRecord): boolean {
  return deliveries.some(({ state }) => state === 'running')
}

/** The orders that a claim must have to be paid: its identity, and the one that `confirm` named. */
export function ordersOf(claim: { readonly identity: string; readonly order?: string | undefined }): readonly string[] {
  const { identity, order = identity } = claim
  return order === identity ? [identity] : [identity, order]
}

/** The record of a claim after a decision, and which deliveries the callback asked for. */
export function applyDecision(
  head: ClaimHead,
  recorded: ClaimRecord | undefined,
  callback: Callback,
  { outcome, next, events, previous }: Decision,
): { record: ClaimRecord; keys: readonly DeliveryKey[] } {
  const keys: DeliveryKey[] = []
  let deliveries = recorded?.deliveries ?? []
  let sequence = deliveries.reduce((last, delivery) => Math.max(last, delivery.sequence), 0)
  for (const event of events) {
    // A fail after a delivered success, or after a plain fail that is done, can only be a reversal. Others are decided when claimed.
    const reversal = event === 'fail' && (isDelivered(deliveries) || isPlainFailDone(deliveries))
    const key = keyOf({ event, reversal })
    const old = deliveries.find((delivery) => keyOf(delivery) === key)
    const made = newDelivery(event, reversal, ++sequence, callback, previous)
    const delivery: Delivery = old ? { ...made, ...broughtBack(old) } : made
    deliveries = [...(old ? deliveries.filter((other) => other !== old) : deliveries), delivery]
    keys.push(key)
  }
  const repeats = recorded?.repeats ?? noRepeats
  const isRepeat = outcome === 'duplicate' || outcome === 'stale'
  const counted = isRepeat ? { ...repeats, [outcome]: repeated(repeats[outcome], callback) } : repeats
  // The scope is part of the identity, so the callback's is the same. If the recorded one was erased, it stays erased.
  const scope = recorded?.scope ?? callback.scope
  const { status, goal, purchaseValue, isEmptied } = next
  const { id, identity, peopleHash, referrerEmail, refereeEmail } = head
  const record: Whole<ClaimRecord> = {
    id,
    identity,
    peopleHash,
    referrerEmail,
    refereeEmail,
    scope,
    status,
    goal,
    purchaseValue,
    isEmptied,
    order: recorded?.order,
    deliveries,
    repeats: counted,
  }
  return { record, keys }
}

/** An object with every field, also those that may be undefined: one that is forgotten does not compile. */
type Whole<T> = { readonly [Name in keyof Required<T>]: T[Name] }

/** A delivery with all of its fields: V8 copies objects of one shape fastest. */
function newDelivery(
  event: ConversionEvent,
  reversal: boolean,
  sequence: number,
  callback: Callback,
  previous: Previous | undefined,
): Whole<Delivery> {
  return {
    event,
    reversal,
    sequence,
    callback,
    previous,
    state: 'waiting',
    attempts: 0,
    holds: 0,
    dueAt: 0,
    startedAt: undefined,
    owner: undefined,
    settledAt: undefined,
    heldSince: undefined,
    heldUntil: undefined,
    firstDate: undefined,
    hadNoHandler: undefined,
    takenBy: undefined,
    takesOrder: undefined,
    log: noLog,
  }
}

/** What a delivery keeps when a later callback brings it back: a running attempt, and its log. */
function broughtBack({ state, attempts, startedAt, owner, callback, settledAt, log }: Delivery): Partial<Delivery> {
  const recorded: LogEntry = { at: callback.receivedAt, what: 'recorded' }
  if (state === 'running' && owner !== undefined) {
    return { state, attempts, startedAt, owner, log: logged(log, recorded) }
  }
  return { log: logged(log, recorded, ...(settledAt === undefined ? [] : [{ at: settledAt, what: state }])) }
}

function repeated(repeats: Repeats | undefined, { receivedAt }: Callback): Repeats {
  return { count: (repeats?.count ?? 0) + 1, firstAt: repeats?.firstAt ?? receivedAt, lastAt: receivedAt }
}

export function findDelivery({ deliveries }: ClaimRecord, key: DeliveryKey): Delivery | undefined {
  return deliveries.find((delivery) => keyOf(delivery) === key)
}

/** The record with one delivery replaced. */
export function withDelivery(record: ClaimRecord, key: DeliveryKey, delivery: Delivery): ClaimRecord {
  return { ...record, deliveries: record.deliveries.map((each) => (keyOf(each) === key ? delivery : each)) }
}

/** The record of a claim that gets its orders: its own, and `order`. */
export function withOrder(record: ClaimRecord, order = record.order ?? record.identity): ClaimRecord {
  const deliveries = record.deliveries.map((delivery) => {
    return delivery.takesOrder === true ? { ...delivery, takesOrder: undefined } : delivery
  })
  return { ...record, order, deliveries }
}

const deliveryKeys: readonly DeliveryKey[] = ['success', 'fail', 'pending', 'goalComplete', 'reversal']

/** Splits a delivery's id into claim and key. Gives no key for an id that is not a delivery's. */
export function splitDeliveryId(id: string): readonly [claim: string, key?: DeliveryKey] {
  const colon = id.lastIndexOf(':')
  const key = deliveryKeys.find((each) => each === id.slice(colon + 1))
  return colon !== -1 && key !== undefined ? [id.slice(0, colon), key] : [id]
}

/** The record without its payload: ids, a hash of the people, and what was delivered when. */
export function emptied(record: ClaimRecord): ClaimRecord {
  const deliveries = record.deliveries.map(({ callback: { status, scope, receivedAt }, log, ...delivery }) => ({
    ...delivery,
    callback: { status, params: {}, extra: {}, repairs: [], scope, receivedAt },
    log: log.map(withoutMessage),
  }))
  const people = { referrerEmail: undefined, refereeEmail: undefined }
  return { ...record, ...people, purchaseValue: undefined, isEmptied: true, deliveries }
}

/** The record without personal scopes. The identity does not change: it is a hash. */
export function withoutScope(record: ClaimRecord, isPersonal: (scope: string) => boolean): ClaimRecord {
  const kept = (scope: string): string => (isPersonal(scope) ? '' : scope)
  const deliveries = record.deliveries.map((delivery) => ({
    ...delivery,
    callback: { ...delivery.callback, scope: kept(delivery.callback.scope) },
  }))
  return { ...record, scope: kept(record.scope), deliveries }
}

/** Whether the payload was dropped: a valid callback has at least the parameter with its status. */
export function lacksPayload({ params }: Callback): boolean {
  return Object.keys(params).length === 0
}
