import type { Callback } from '../callback/conversion.js'
import type { Received } from '../callback/params.js'
import type { ConversionErrorCode, Issue } from '../errors.js'
import { hashOf } from './identity.js'
import { isDelivered, isFailTold, type ConversionEvent, type Decision, type Entry, type Recorded } from './ledger.js'

/** One event of one conversion on its way to its handler, as every store keeps it. */
export interface Delivery extends Entry {
  /** The callback that brought the event; a later one takes its place when it brings a withdrawn delivery back. */
  readonly callback: Callback
  /** Attempts that were started. */
  readonly attempts: number
  /** The code of what ended the last attempt. */
  readonly lastError?: string
}

/** How often something came again, and when; times in milliseconds since 1970. */
export interface Repeats {
  readonly count: number
  readonly firstAt: number
  readonly lastAt: number
}

/** Everything that is recorded of one identity: a store locks, reads and writes it whole. */
export interface IdentityRecord extends Recorded {
  readonly id: string
  readonly scope: string
  readonly deliveries: readonly Delivery[]
  readonly repeats: Readonly<Partial<Record<'duplicate' | 'stale', Repeats>>>
}

/** A callback that was refused, as it was received: the quarantine. */
export interface RefusedRecord {
  readonly kind: 'refused'
  readonly id: string
  readonly code: ConversionErrorCode
  readonly issues: readonly Issue[]
  readonly received: Received
  readonly scope: string
  /** Milliseconds since 1970. */
  readonly receivedAt: number
}

/** A valid callback that contradicts what is recorded of its identity. */
export interface ConflictRecord {
  readonly kind: 'conflict'
  readonly id: string
  readonly callback: Callback
}

/** A callback that is kept and not delivered. */
export type HeldCallback = RefusedRecord | ConflictRecord

/** The same contradiction has the same id, however often it is repeated. */
export function conflictOf(identity: string, callback: Callback): ConflictRecord {
  const { status, params } = callback
  const content = Object.entries({ ...params, conversion: status }).sort(([a], [b]) => (a < b ? -1 : 1))
  return { kind: 'conflict', id: `${identity}:conflict:${hashOf(content.flat()).slice(0, 16)}`, callback }
}

/** What tells the deliveries of one identity apart. */
export type DeliveryKey = ConversionEvent | 'reversal'

export function keyOf({ event, reversal }: Pick<Entry, 'event' | 'reversal'>): DeliveryKey {
  return reversal ? 'reversal' : event
}

/** The idempotency key that handlers see as `context.id`: the same for every repeat, retry, replay and restart. */
export function deliveryId(identity: string, key: DeliveryKey): string {
  return `${identity}:${key}`
}

export function isUnsettled({ state }: Entry): boolean {
  return state === 'waiting' || state === 'running'
}

/** The record after a decision, and which deliveries the callback asked for. */
export function applyDecision(
  id: string,
  recorded: IdentityRecord | undefined,
  callback: Callback,
  { outcome, next, events, previous }: Decision,
): { record: IdentityRecord; keys: readonly DeliveryKey[] } {
  const keys: DeliveryKey[] = []
  let deliveries = recorded?.deliveries ?? []
  let sequence = Math.max(0, ...deliveries.map((delivery) => delivery.sequence))
  for (const event of events) {
    // A fail after a delivered success, or after a fail that was told, can only be a reversal; other fails are fixed when claimed.
    const reversal = event === 'fail' && (isDelivered(deliveries) || isFailTold(deliveries))
    const key = keyOf({ event, reversal })
    const old = deliveries.find((delivery) => keyOf(delivery) === key)
    const delivery: Delivery = {
      event,
      reversal,
      sequence: ++sequence,
      state: old?.state === 'running' ? 'running' : 'waiting',
      attempts: old?.attempts ?? 0,
      callback,
      ...(previous && { previous }),
    }
    deliveries = [...deliveries.filter((other) => other !== old), delivery]
    keys.push(key)
  }
  const repeats = recorded?.repeats ?? {}
  const counted = outcome === 'duplicate' || outcome === 'stale' ? { [outcome]: again(repeats[outcome], callback) } : {}
  const record = { id, scope: callback.scope, ...next, deliveries, repeats: { ...repeats, ...counted } }
  return { record, keys }
}

function again(repeats: Repeats | undefined, { receivedAt }: Callback): Repeats {
  return { count: (repeats?.count ?? 0) + 1, firstAt: repeats?.firstAt ?? receivedAt, lastAt: receivedAt }
}

export function findDelivery({ deliveries }: IdentityRecord, key: DeliveryKey): Delivery | undefined {
  return deliveries.find((delivery) => keyOf(delivery) === key)
}

/** The record with another delivery in the place of one. */
export function withDelivery(record: IdentityRecord, key: DeliveryKey, delivery: Delivery): IdentityRecord {
  return { ...record, deliveries: record.deliveries.map((each) => (keyOf(each) === key ? delivery : each)) }
}
