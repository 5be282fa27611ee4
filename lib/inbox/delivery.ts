import type { ConversionErrorCode, ConversionWebhookError } from '../errors.js'
import type { InboxHost, Job, Verdict } from './inbox.js'
import { endBefore } from '../util/printable.js'
import { hasOrders, missingOrders, otherHolders, type Holders } from './holders.js'
import { due, isSuccess } from './ledger.js'
import {
  deliveryId,
  findDelivery,
  isRunning,
  isUnsettled,
  keyOf,
  logged,
  ordersOf,
  withDelivery,
  withoutTakes,
  type Delivery,
  type DeliveryKey,
  type ClaimRecord,
  type LogEntry,
} from './records.js'

/** Who claims, when, and what can be delivered there. */
export interface Claimer {
  readonly handlers: InboxHost['handlers']
  /** Whether `confirm` is asked before a success reaches its handler: then the order is reserved after its yes. */
  readonly hasConfirm: boolean
  readonly owner: string
  readonly now: number
  /** Which claims have the orders of the record. */
  readonly holders: Holders
}

/** A delivery whose turn has come, and the record that says so. */
export interface Claimed {
  readonly record: ClaimRecord
  /** What is to be run; absent where there is nothing to run any more. */
  readonly delivery?: Delivery
  /** Deliveries that are refused, since another claim has the order. */
  readonly taken: readonly Delivery[]
  /** Orders that the claim has from now on. */
  readonly reserved: readonly string[]
}

const holderRunsMs = 5_000

/**
 * Takes a waiting delivery: withdraws it, settles it because nobody handles its event, refuses it because another claim has the order, or
 * fixes it and says that it runs. Pure.
 */
export function claim(record: ClaimRecord, key: DeliveryKey, claimer: Claimer): Claimed {
  const { handlers, hasConfirm, owner, now, holders } = claimer
  const nothing = { taken: [], reserved: [] }
  const delivery = findDelivery(record, key)
  if (delivery?.state !== 'waiting') return { record, ...nothing }
  const verdict = due(record, delivery)
  if (verdict.action === 'withdraw') {
    return { record: withDelivery(record, key, settled(delivery, 'withdrawn', now)), ...nothing }
  }
  const { previous: _before, heldUntil: _until, ...rest } = delivery
  // A fail becomes a plain one or a reversal here, with what it takes back.
  const fixed = { ...rest, reversal: verdict.reversal, ...(verdict.previous && { previous: verdict.previous }) }
  if (!handlers.has(delivery.event)) {
    return { record: withDelivery(record, key, { ...settled(fixed, 'done', now), isUnheard: true }), ...nothing }
  }
  const orders = isSuccess(delivery) ? ordersOf(record) : []
  const others = otherHolders(orders, record.id, holders)
  const [other] = others
  if (other && delivery.takes !== true) {
    const refused = { ...settled(fixed, 'refused', now), takenBy: other.claim }
    return { record: withDelivery(record, key, refused), taken: [refused], reserved: [] }
  }
  if (others.some(({ isRunning }) => isRunning)) {
    const { heldUntil: _passed, ...waiting } = delivery
    return { record: withDelivery(record, key, { ...waiting, dueAt: now + holderRunsMs }), ...nothing }
  }
  const running: Delivery = { ...fixed, state: 'running', attempts: delivery.attempts + 1, startedAt: now, owner }
  const started = withDelivery(record, key, running)
  if (hasConfirm || !isSuccess(delivery)) return { record: started, delivery: running, ...nothing }
  const { takes: _taken, ...won } = running
  const { identity, order = identity } = record
  const reserved = missingOrders(orders, record.id, holders)
  return { record: { ...withoutTakes(withDelivery(record, key, won)), order }, delivery: won, taken: [], reserved }
}

/**
 * Takes the first delivery of a claim whose time has come, if none of it runs; on the way withdraws what was overtaken, refuses what another
 * claim has the order of, and settles what nobody handles. `mayRun` is asked once there is a delivery to run: where there is no slot for it,
 * only those three are done. Pure.
 */
export function claimNext(record: ClaimRecord, claimer: Claimer, mayRun = () => true): Claimed {
  const taken: Delivery[] = []
  for (let current = record; ;) {
    if (isRunning(current)) return { record: current, taken, reserved: [] }
    const [next] = current.deliveries
      .filter((delivery) => delivery.state === 'waiting' && isDue(delivery, claimer.now))
      .sort((a, b) => a.sequence - b.sequence)
    if (next === undefined) return { record: current, taken, reserved: [] }
    const claimed = claim(current, keyOf(next), claimer)
    taken.push(...claimed.taken)
    if (claimed.delivery !== undefined)
      return mayRun() ? { ...claimed, taken } : { record: current, taken, reserved: [] }
    current = claimed.record
  }
}

/** What the host is asked to deliver. */
export function jobOf(claim: string, delivery: Delivery): Job {
  const { event, attempts, callback, previous } = delivery
  const id = deliveryId(claim, keyOf(delivery))
  return { event, id, attempt: attempts, callback, ...(previous && { previous }) }
}

/** How long deliveries are tried, and by which time and chance. */
export interface Patience {
  readonly now: number
  /** From 0 to 1, for the jitter: what failed together is not tried again together. */
  readonly random: number
  readonly maxAttempts: number
  readonly maxHoldMs: number
}

/** What an attempt came to. Pure. */
export function settle(record: ClaimRecord, key: DeliveryKey, verdict: Verdict, patience: Patience): ClaimRecord {
  const delivery = findDelivery(record, key)
  if (delivery === undefined) return record
  if (verdict.state !== 'waiting') {
    const takenBy = verdict.state === 'refused' && verdict.takenBy !== undefined ? { takenBy: verdict.takenBy } : {}
    return withDelivery(record, key, { ...settled(delivery, verdict.state, patience.now), ...takenBy })
  }
  return withDelivery(record, key, retriedOrDead(delivery, verdict, patience))
}

/** Dead with attempts left, because one more would repeat what the last one committed. Pure. */
export function bury(record: ClaimRecord, key: DeliveryKey, error: ConversionWebhookError, now: number): ClaimRecord {
  const delivery = findDelivery(record, key)
  if (delivery === undefined) return record
  const { code } = error
  const entry: LogEntry = { at: now, what: 'failed', attempt: delivery.attempts, code, ...messageOf(error) }
  return withDelivery(record, key, settled({ ...delivery, log: logged(delivery.log, entry) }, 'dead', now))
}

/** An attempt whose process is gone: it counts, so that a delivery that ends its process is dead in the end. Pure. */
export function lapse(record: ClaimRecord, key: DeliveryKey, patience: Patience): ClaimRecord {
  const delivery = findDelivery(record, key)
  if (delivery?.state !== 'running') return record
  const next = retriedOrDead(delivery, { state: 'waiting', code: 'ERR_CONVERSION_ATTEMPT_LAPSED' }, patience)
  return withDelivery(record, key, next.state === 'waiting' ? { ...next, dueAt: patience.now } : next)
}

function retriedOrDead(delivery: Delivery, verdict: Verdict & { state: 'waiting' }, patience: Patience): Delivery {
  const { code, error } = verdict
  const { now, maxAttempts, maxHoldMs } = patience
  const until = laterThan(now, verdict.until)
  const isHeld = code === 'ERR_CONVERSION_DELIVERY_HELD'
  const what = isHeld ? 'held' : code === 'ERR_CONVERSION_ATTEMPT_LAPSED' ? 'lapsed' : 'failed'
  const entry: LogEntry = { at: now, what, attempt: delivery.attempts, code, ...messageOf(error) }
  const attempts = isHeld ? delivery.attempts - 1 : delivery.attempts
  const holds = isHeld && until === undefined ? delivery.holds + 1 : 0
  const heldSince = isHeld ? (delivery.heldSince ?? now) : delivery.heldSince
  const firstDate = delivery.firstDate ?? until
  const { owner: _owner, ...rest } = delivery
  const next = {
    ...rest,
    attempts,
    holds,
    ...(heldSince !== undefined && { heldSince }),
    ...(firstDate !== undefined && { firstDate }),
    log: logged(delivery.log, entry),
  }
  const isOver = isHeld ? now - (firstDate ?? heldSince ?? now) >= maxHoldMs : attempts >= maxAttempts
  if (isOver) return settled(next, 'dead', now)
  if (until !== undefined) return { ...next, state: 'waiting', heldUntil: until, dueAt: until }
  return { ...next, state: 'waiting', dueAt: now + retryDelayMs(isHeld ? holds : attempts, patience.random) }
}

/** A date; undefined where it is past by the clock that deliveries are due by, which is not the one of the process that asked. */
function laterThan(now: number, date: number | undefined): number | undefined {
  return date !== undefined && date > now ? date : undefined
}

const hourMs = 3_600_000

/** No retry is put off by so much: a later `dueAt` predates a clock jump and counts as due. A date that `confirm` answered may be later. */
export const jumpMs = 2 * hourMs

function isDue({ dueAt, heldUntil }: Delivery, now: number): boolean {
  return dueAt <= now || (heldUntil === undefined && dueAt > now + jumpMs)
}

/** Milliseconds before the next attempt: 1 s after the first, twice as long each time, at most an hour; a fifth more or less by chance. @internal */
export function retryDelayMs(tries: number, random: number): number {
  return Math.round(Math.min(hourMs, 1_000 * 2 ** Math.min(tries - 1, 20) * (0.8 + 0.4 * random)))
}

/**
 * Dead, refused, or waiting for its time: at once, as if it had never been tried. One that was refused because another claim has the order
 * takes the order with the next yes, unless its own claim has got the order since. Pure.
 */
export function replayed(record: ClaimRecord, delivery: Delivery, holders: Holders, now: number): Delivery {
  const { heldSince: _held, firstDate: _first, heldUntil: _until, takenBy, settledAt, state, ...rest } = delivery
  const before: readonly LogEntry[] = settledAt === undefined ? [] : [{ at: settledAt, what: state }]
  const log = logged(delivery.log, ...before, { at: now, what: 'replayed' })
  const takes = takenBy === undefined || hasOrders(record, holders) ? {} : { takes: true }
  return { ...rest, state: 'waiting', attempts: 0, holds: 0, dueAt: 0, log, ...takes }
}

function settled(delivery: Delivery, state: 'done' | 'refused' | 'withdrawn' | 'dead', now: number): Delivery {
  const { owner: _owner, heldUntil: _until, ...rest } = delivery
  return { ...rest, state, settledAt: now }
}

/** Anything can be thrown, also what throws when it is looked at. */
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
 * The beginning of a string, as a copy: a message may be cut out of a response, and a slice keeps the whole of it in memory. Without half
 * an address at its end, which `erase` could not find.
 */
function cut(text: string): string {
  const end = text.length > maxMessage ? endBefore(text, maxMessage) : text.length
  return Buffer.from(text.slice(0, end)).toString()
}

/** What ended the last attempt that did not succeed. */
export function lastErrorOf({ log }: Delivery): { code: ConversionErrorCode; message?: string } | undefined {
  const entry = log.findLast(({ code }) => code !== undefined)
  if (entry?.code === undefined) return undefined
  return { code: entry.code, ...(entry.message !== undefined && { message: entry.message }) }
}

/**
 * Withdraws every waiting delivery that was overtaken, but those whose turn is coming anyway. Without it a success that is held for a
 * month would be withdrawn a month after its fail. Pure.
 */
export function withdrawOvertaken(
  record: ClaimRecord,
  now: number,
  isQueued: (key: DeliveryKey) => boolean = () => false,
): ClaimRecord {
  const overtaken = record.deliveries.filter(
    (delivery) =>
      delivery.state === 'waiting' && !isQueued(keyOf(delivery)) && due(record, delivery).action === 'withdraw',
  )
  return overtaken.reduce(
    (changed, delivery) => withDelivery(changed, keyOf(delivery), settled(delivery, 'withdrawn', now)),
    record,
  )
}

export function isSettled(record: ClaimRecord): boolean {
  return !record.deliveries.some(isUnsettled)
}
