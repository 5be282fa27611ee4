import type { Callback } from '../callback/conversion.js'
import type { ConversionErrorCode } from '../errors.js'
import { orderKey, type People } from './identity.js'
import {
  isDelivered,
  isFailTold,
  type ConversionEvent,
  type Decision,
  type DeliveryState,
  type Entry,
  type Recorded,
} from './ledger.js'

/** One event of one conversion on its way to its handler, as every store keeps it. */
export interface Delivery extends Entry {
  /** The callback that brought the event; a later one takes its place when it brings a withdrawn delivery back. */
  readonly callback: Callback
  /** Attempts that were started and not held, since it was recorded or replayed. */
  readonly attempts: number
  /** How often in a row `confirm` answered `'hold'`: since its last failure, or the last date. */
  readonly holds: number
  /** When `confirm` held it first. */
  readonly heldSince?: number
  /** When its last attempt began, in milliseconds since 1970; kept when the attempt ends. */
  readonly startedAt?: number
  /** The first date that `confirm` answered. */
  readonly firstDate?: number
  /** While it waits for a date that `confirm` answered: that date, in milliseconds since 1970. Then `dueAt` is the same. */
  readonly heldUntil?: number
  /** While it waits: not before this time, in milliseconds since 1970. */
  readonly dueAt: number
  /** While it runs: whose attempt it is, as the store tells attempts apart. */
  readonly owner?: string
  readonly settledAt?: number
  /** The claim that had the order when this delivery was refused for that. */
  readonly takenBy?: string
  /**
   * A person replayed it while another claim had the order: with the next yes it takes the order from the claim that has it. Once the claim
   * has its orders no delivery of it takes them again: a person may have moved them on since.
   */
  readonly takes?: boolean
  /** What happened to it, but for being recorded and being settled now; the oldest give way. */
  readonly log: readonly LogEntry[]
}

/** What tells attempts at a delivery apart: one owner may have several, one after another. */
export type AttemptMark = { readonly [Name in 'owner' | 'startedAt']?: Delivery[Name] | undefined }

/** One thing that happened to a delivery or a quarantined callback. */
export interface LogEntry {
  /** Milliseconds since 1970. */
  readonly at: number
  readonly what: 'recorded' | 'failed' | 'held' | 'lapsed' | 'replayed' | DeliveryState
  readonly attempt?: number
  readonly code?: ConversionErrorCode
  /** An error's own message, cut to 1,000 characters; absent where five later entries have one. */
  readonly message?: string
}

const maxEntries = 20
const maxMessages = 5

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
interface Repeats {
  readonly count: number
  readonly firstAt: number
  readonly lastAt: number
}

/** Who claims what: one record a claim. */
export interface ClaimHead extends People {
  readonly id: string
  /** The claims of an identity share its lock. */
  readonly identity: string
  /** The hash of its people, which outlives them; absent for a conflict that was replayed, to which no callback belongs by its people. */
  readonly people?: string
}

/** Everything that is recorded of one claim: a store reads and writes it whole, while its identity is locked. */
export interface ClaimRecord extends Recorded, ClaimHead {
  readonly scope: string
  /** The identity that the order has in the shop, once it was reserved: the claim's own identity, unless `confirm` named another order. */
  readonly order?: string
  readonly deliveries: readonly Delivery[]
  readonly repeats: Readonly<Partial<Record<'duplicate' | 'stale', Repeats>>>
}

/** What tells the deliveries of one claim apart. */
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

/** Whether it waits because `confirm` held it the last time. */
export function isHeld({ state, holds, heldUntil }: Delivery): boolean {
  return state === 'waiting' && (holds > 0 || heldUntil !== undefined)
}

/** Whether one of its deliveries runs. */
export function isRunning({ deliveries }: ClaimRecord): boolean {
  return deliveries.some(({ state }) => state === 'running')
}

/** The orders that a claim needs to be paid: its identity, and the one that `confirm` named. */
export function ordersOf(claim: { readonly identity: string; readonly order?: string | undefined }): readonly string[] {
  const { identity, order = identity } = claim
  return [identity, order]
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
  let sequence = Math.max(0, ...deliveries.map((delivery) => delivery.sequence))
  for (const event of events) {
    // A fail after a delivered success, or after a fail that was told, can only be a reversal; other fails are fixed when claimed.
    const reversal = event === 'fail' && (isDelivered(deliveries) || isFailTold(deliveries))
    const key = keyOf({ event, reversal })
    const old = deliveries.find((delivery) => keyOf(delivery) === key)
    const delivery: Delivery = {
      ...(old ? broughtBack(old) : fresh),
      event,
      reversal,
      sequence: ++sequence,
      callback,
      ...(previous && { previous }),
    }
    deliveries = [...deliveries.filter((other) => other !== old), delivery]
    keys.push(key)
  }
  const repeats = recorded?.repeats ?? {}
  const counted = outcome === 'duplicate' || outcome === 'stale' ? { [outcome]: again(repeats[outcome], callback) } : {}
  // The scope is part of the identity: it is the same, or was erased and is not learnt again.
  const scope = recorded?.scope ?? callback.scope
  const record = { ...recorded, ...head, scope, ...next, deliveries, repeats: { ...repeats, ...counted } }
  return { record, keys }
}

const fresh = { state: 'waiting', attempts: 0, holds: 0, dueAt: 0, log: [] } as const

/** What stays of a delivery that a later callback brings again: an attempt that runs, and what happened so far. */
function broughtBack({ state, attempts, startedAt, owner, callback, settledAt, log }: Delivery) {
  const recorded: LogEntry = { at: callback.receivedAt, what: 'recorded' }
  if (state === 'running' && owner !== undefined) {
    const started = startedAt === undefined ? {} : { startedAt }
    return { ...fresh, state, attempts, ...started, owner, log: logged(log, recorded) }
  }
  return { ...fresh, log: logged(log, recorded, ...(settledAt === undefined ? [] : [{ at: settledAt, what: state }])) }
}

function again(repeats: Repeats | undefined, { receivedAt }: Callback): Repeats {
  return { count: (repeats?.count ?? 0) + 1, firstAt: repeats?.firstAt ?? receivedAt, lastAt: receivedAt }
}

export function findDelivery({ deliveries }: ClaimRecord, key: DeliveryKey): Delivery | undefined {
  return deliveries.find((delivery) => keyOf(delivery) === key)
}

/** The record with another delivery in the place of one. */
export function withDelivery(record: ClaimRecord, key: DeliveryKey, delivery: Delivery): ClaimRecord {
  return { ...record, deliveries: record.deliveries.map((each) => (keyOf(each) === key ? delivery : each)) }
}

/** The record of a claim that has its orders from now on. */
export function withoutTakes(record: ClaimRecord): ClaimRecord {
  const deliveries = record.deliveries.map((delivery) => {
    if (delivery.takes !== true) return delivery
    const { takes: _taken, ...kept } = delivery
    return kept
  })
  return { ...record, deliveries }
}

const deliveryKeys: readonly string[] = ['success', 'fail', 'pending', 'goalComplete', 'reversal']

/** The claim and key of a delivery's id; without a key where the id is of something else. */
export function splitDeliveryId(id: string): readonly [claim: string, key?: DeliveryKey] {
  const colon = id.lastIndexOf(':')
  const key = id.slice(colon + 1)
  return colon !== -1 && isDeliveryKey(key) ? [id.slice(0, colon), key] : [id]
}

function isDeliveryKey(key: string): key is DeliveryKey {
  return deliveryKeys.includes(key)
}

/** A record without anything personal: its identity, a hash of its people, what was delivered, and when. */
export function emptied(record: ClaimRecord): ClaimRecord {
  const { referrerEmail: _referrer, refereeEmail: _referee, purchaseValue: _value, ...rest } = record
  const deliveries = record.deliveries.map((delivery) => ({
    ...delivery,
    callback: { ...delivery.callback, params: {}, extra: {}, repairs: [] },
    log: delivery.log.map(withoutMessage),
  }))
  return { ...rest, isForgotten: true, deliveries }
}

/** A record without the scopes that are personal: they stay part of its identity, which is a hash. */
export function withoutScope(record: ClaimRecord, isPersonal: (scope: string) => boolean): ClaimRecord {
  const kept = (scope: string): string => (isPersonal(scope) ? '' : scope)
  const deliveries = record.deliveries.map((delivery) => ({
    ...delivery,
    callback: { ...delivery.callback, scope: kept(delivery.callback.scope) },
  }))
  return { ...record, scope: kept(record.scope), deliveries }
}

/** Whether what was received was dropped: a valid callback says its status at least. */
export function isEmptied({ params }: Callback): boolean {
  return Object.keys(params).length === 0
}

/** The order that a record is found by. */
export function orderIdOf({ deliveries }: ClaimRecord): string | undefined {
  for (const { callback } of deliveries) {
    const text = callback.params.orderID
    if (text !== undefined) return orderKey(text)
  }
  return undefined
}
