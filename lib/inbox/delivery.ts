import type { ConversionErrorCode, ConversionWebhookError } from '../errors.js'
import type { InboxHost, Job, Verdict } from './inbox.js'
import { endBefore } from '../util/printable.js'
import { due, isSuccess, type Due } from './ledger.js'
import {
  deliveryId,
  findDelivery,
  isRunning,
  isUnsettled,
  keyOf,
  logged,
  ordersOf,
  withDelivery,
  withOrder,
} from './records.js'
import type { AttemptMark, Delivery, DeliveryKey, ClaimRecord, LogEntry } from './records.js'
import { hasOrders, missingOrders, otherHolders, type HolderLookup } from './reservation.js'

/** Who claims a delivery, when, and which events have a handler there. */
export interface Claimer {
  readonly handlers: InboxHost['handlers']
  /** Whether there is a `confirm`: then its yes reserves the order, else claiming the delivery does. */
  readonly hasConfirm: boolean
  readonly owner: string
  readonly now: number
  /** Which claims have the record's orders. */
  readonly holders: HolderLookup
}

/** The result of claiming a delivery. */
export interface Claimed {
  readonly record: ClaimRecord
  /** The delivery to run; absent if its handler is not called now. */
  readonly delivery?: Delivery
  /** Deliveries that were refused because another claim has the order. */
  readonly refused: readonly Delivery[]
  /** Orders that the claim gets. */
  readonly reserved: readonly string[]
}

const nothing = { refused: [], reserved: [] } as const

/** Delay of a delivery that takes an order whose holder has a delivery running. */
const holderRunsMs = 5_000

/**
 * Claims a waiting delivery: withdraws it if it was overtaken, settles it if its event has no handler, refuses it if another claim has the
 * order, else marks it as running. Pure.
 */
export function claim(record: ClaimRecord, key: DeliveryKey, claimer: Claimer): Claimed {
  const { handlers, hasConfirm, owner, now, holders } = claimer
  const delivery = findDelivery(record, key)
  if (delivery?.state !== 'waiting') return { record, ...nothing }
  const verdict = due(record, delivery)
  if (verdict.action === 'withdraw') {
    return { record: withDelivery(record, key, settled(delivery, now, { state: 'withdrawn' })), ...nothing }
  }
  const fixed = fixedAs(delivery, verdict)
  if (!handlers.has(delivery.event)) {
    const done = settled(fixed, now, { state: 'done', hadNoHandler: true })
    return { record: withDelivery(record, key, done), ...nothing }
  }
  const orders = isSuccess(delivery) ? ordersOf(record) : []
  const others = otherHolders(orders, record.id, holders)
  const [other] = others
  if (other && delivery.takesOrder !== true) {
    const refused = settled(fixed, now, { state: 'refused', takenBy: other.claim })
    return { record: withDelivery(record, key, refused), refused: [refused], reserved: [] }
  }
  if (others.some(({ isRunning }) => isRunning)) {
    const waiting = { ...delivery, heldUntil: undefined, dueAt: now + holderRunsMs }
    return { record: withDelivery(record, key, waiting), ...nothing }
  }
  const pays = !hasConfirm && isSuccess(delivery)
  const takesOrder = pays ? undefined : delivery.takesOrder
  const attempts = delivery.attempts + 1
  const running: Delivery = { ...fixed, state: 'running', attempts, startedAt: now, owner, takesOrder }
  if (!pays) return { record: withDelivery(record, key, running), delivery: running, ...nothing }
  const won = withDelivery(withOrder(record), key, running)
  return { record: won, delivery: running, refused: [], reserved: missingOrders(orders, record.id, holders) }
}

/** What has been delivered until now decides whether a fail is a plain one or a reversal. */
function fixedAs(delivery: Delivery, { reversal, previous }: Extract<Due, { action: 'deliver' }>): Delivery {
  const isFixed = delivery.heldUntil === undefined && delivery.reversal === reversal && delivery.previous === previous
  return isFixed ? delivery : { ...delivery, heldUntil: undefined, reversal, previous }
}

/**
 * Claims the first due delivery of a claim, unless a delivery of the claim runs. On the way, withdraws overtaken deliveries, refuses those
 * whose order another claim has, and settles those without a handler. `mayRun` is called once there is a delivery to run; if it returns
 * false, because no slot is free, the delivery keeps waiting. Pure.
 */
export function claimNext(record: ClaimRecord, claimer: Claimer, mayRun = () => true): Claimed {
  const refused: Delivery[] = []
  for (let current = record; ;) {
    if (isRunning(current)) return { record: current, refused, reserved: [] }
    const [next] = current.deliveries
      .filter((delivery) => delivery.state === 'waiting' && isDue(delivery, claimer.now))
      .sort((a, b) => a.sequence - b.sequence)
    if (next === undefined) return { record: current, refused, reserved: [] }
    const claimed = claim(current, keyOf(next), claimer)
    refused.push(...claimed.refused)
    if (claimed.delivery !== undefined)
      return mayRun() ? { ...claimed, refused } : { record: current, refused, reserved: [] }
    current = claimed.record
  }
}

export function jobOf(claim: string, delivery: Delivery): Job {
  const { event, attempts, callback, previous } = delivery
  const id = deliveryId(claim, keyOf(delivery))
  return { event, id, attempt: attempts, callback, previous: previous && { ...previous } } // the handler gets it as its own
}

/** Identifies an attempt under way: the attempt owns its delivery as long as the record names it. */
export interface OwnAttempt extends AttemptMark {
  readonly claim: string
  readonly key: DeliveryKey
  readonly scope: string
}

export function attemptOf(claim: string, delivery: Delivery): OwnAttempt {
  const { owner, startedAt, callback } = delivery
  return { claim, key: keyOf(delivery), scope: callback.scope, owner, startedAt }
}

/** How long deliveries are retried, with the current time and a random number. */
export interface RetryPolicy {
  readonly now: number
  /** From 0 to 1, for the jitter: deliveries that failed together are not retried together. */
  readonly random: number
  readonly maxAttempts: number
  readonly maxHoldMs: number
}

/** Records the verdict on an attempt. Pure. */
export function settle(record: ClaimRecord, key: DeliveryKey, verdict: Verdict, policy: RetryPolicy): ClaimRecord {
  const delivery = findDelivery(record, key)
  if (delivery === undefined) return record
  const isToRetry = verdict.state === 'waiting'
  const next = isToRetry ? retriedOrDead(delivery, verdict, policy) : settled(delivery, policy.now, verdict)
  return withDelivery(record, key, next)
}

/** Makes a delivery dead though it has attempts left, because a retry would repeat what the last attempt committed. Pure. */
export function makeDead(
  record: ClaimRecord,
  key: DeliveryKey,
  error: ConversionWebhookError,
  now: number,
): ClaimRecord {
  const delivery = findDelivery(record, key)
  if (delivery === undefined) return record
  const { code } = error
  const entry: LogEntry = { at: now, what: 'failed', attempt: delivery.attempts, code, ...messageOf(error) }
  return withDelivery(record, key, settled(delivery, now, { state: 'dead', log: logged(delivery.log, entry) }))
}

/** Ends an attempt whose process is gone. The attempt counts, so that a delivery that crashes each process becomes dead. Pure. */
export function lapse(record: ClaimRecord, key: DeliveryKey, policy: RetryPolicy): ClaimRecord {
  const delivery = findDelivery(record, key)
  if (delivery?.state !== 'running') return record
  const next = retriedOrDead(delivery, { state: 'waiting', code: 'ERR_CONVERSION_ATTEMPT_LAPSED' }, policy)
  return withDelivery(record, key, next.state === 'waiting' ? { ...next, dueAt: policy.now } : next)
}

function retriedOrDead(delivery: Delivery, verdict: Verdict & { state: 'waiting' }, policy: RetryPolicy): Delivery {
  const { code, error } = verdict
  const { now, maxAttempts, maxHoldMs } = policy
  // Past means past by the clock of deliveries, which is not the clock of the process that asked `confirm`.
  const until = verdict.until !== undefined && verdict.until > now ? verdict.until : undefined
  const isHeld = code === 'ERR_CONVERSION_DELIVERY_HELD'
  const what = isHeld ? 'held' : code === 'ERR_CONVERSION_ATTEMPT_LAPSED' ? 'lapsed' : 'failed'
  const counted = isHeld ? {} : { attempt: delivery.attempts }
  const entry: LogEntry = { at: now, what, ...counted, code, ...messageOf(error) }
  const attempts = isHeld ? delivery.attempts - 1 : delivery.attempts
  const holds = isHeld && until === undefined ? delivery.holds + 1 : 0
  const heldSince = isHeld ? (delivery.heldSince ?? now) : delivery.heldSince
  const firstDate = delivery.firstDate ?? until
  const log = logged(delivery.log, entry)
  const next = { ...delivery, owner: undefined, attempts, holds, heldSince, firstDate, log }
  const isOver = isHeld ? now - (firstDate ?? heldSince ?? now) >= maxHoldMs : attempts >= maxAttempts
  if (isOver) return settled(next, now, { state: 'dead' })
  if (until !== undefined) return { ...next, state: 'waiting', heldUntil: until, dueAt: until }
  return { ...next, state: 'waiting', dueAt: now + retryDelayMs(isHeld ? holds : attempts, policy.random) }
}

const hourMs = 3_600_000

/** No retry is delayed this long: a later `dueAt` predates a clock jump and counts as due. Only a date that `confirm` answered may be later. */
export const jumpMs = 2 * hourMs

function isDue({ dueAt, heldUntil }: Delivery, now: number): boolean {
  return dueAt <= now || (heldUntil === undefined && dueAt > now + jumpMs)
}

/** Milliseconds before the next attempt: 1 s after the first, doubled each time, at most an hour, and a random 20 % more or less. @internal */
export function retryDelayMs(tries: number, random: number): number {
  return Math.round(Math.min(hourMs, 1_000 * 2 ** Math.min(tries - 1, 20) * (0.8 + 0.4 * random)))
}

/**
 * A dead, refused or waiting delivery after a replay: due at once, with all its attempts. A delivery that was refused because another claim
 * has the order takes the order with the next yes, unless its own claim has got the order since. Pure.
 */
export function replayed(record: ClaimRecord, delivery: Delivery, holders: HolderLookup, now: number): Delivery {
  const { takenBy, settledAt, state } = delivery
  const before: readonly LogEntry[] = settledAt === undefined ? [] : [{ at: settledAt, what: state }]
  const log = logged(delivery.log, ...before, { at: now, what: 'replayed' })
  const takesOrder = takenBy === undefined || hasOrders(record, holders) ? delivery.takesOrder : true
  const waits = { state: 'waiting', attempts: 0, holds: 0, dueAt: 0, log, takesOrder } as const
  const over = { heldSince: undefined, firstDate: undefined, heldUntil: undefined, takenBy: undefined }
  return { ...delivery, ...waits, ...over, settledAt: undefined }
}

/** How a delivery ends. */
type End = Pick<Delivery, 'hadNoHandler' | 'takenBy'> &
  Partial<Pick<Delivery, 'log'>> & { readonly state: 'done' | 'refused' | 'withdrawn' | 'dead' }

function settled(delivery: Delivery, now: number, end: End): Delivery {
  return { ...delivery, owner: undefined, heldUntil: undefined, settledAt: now, ...end }
}

/** Never throws: a handler may throw any value, even one whose properties throw. */
function messageOf(error: unknown): { message?: string } {
  try {
    const text: unknown = error instanceof Error ? error.message : error
    return typeof text === 'string' ? { message: cut(text) } : {}
  } catch {
    return {}
  }
}

const maxMessage = 1_000

/**
 * The beginning of a string, as a copy: a slice of a message would keep the whole response that holds it in memory. Never ends within an
 * e-mail address, since `erase` could not find half an address.
 */
function cut(text: string): string {
  const end = text.length > maxMessage ? endBefore(text, maxMessage) : text.length
  return Buffer.from(text.slice(0, end)).toString()
}

/** Why the last unsuccessful attempt ended. */
export function lastErrorOf({ log }: Delivery): { code: ConversionErrorCode; message?: string } | undefined {
  const entry = log.findLast(({ code }) => code !== undefined)
  if (entry?.code === undefined) return undefined
  return { code: entry.code, ...(entry.message !== undefined && { message: entry.message }) }
}

/**
 * Withdraws every overtaken delivery that waits, except those that are queued to be claimed. Otherwise a success that is held for a month
 * would be withdrawn a month after its fail. Pure.
 */
export function withdrawOvertaken(
  record: ClaimRecord,
  now: number,
  isQueued: (key: DeliveryKey) => boolean = () => false,
): ClaimRecord {
  let changed = record
  for (const delivery of record.deliveries) {
    const key = keyOf(delivery)
    if (delivery.state !== 'waiting' || isQueued(key) || due(record, delivery).action !== 'withdraw') continue
    changed = withDelivery(changed, key, settled(delivery, now, { state: 'withdrawn' }))
  }
  return changed
}

export function isSettled(record: ClaimRecord): boolean {
  return !record.deliveries.some(isUnsettled)
}
