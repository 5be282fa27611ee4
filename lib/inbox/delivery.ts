import type { ConversionErrorCode, ConversionWebhookError } from '../errors.js'
import type { Job, Verdict } from './inbox.js'
import { endBefore } from '../visible.js'
import { due, type ConversionEvent } from './ledger.js'
import {
  deliveryId,
  findDelivery,
  isUnsettled,
  keyOf,
  logged,
  withDelivery,
  type Delivery,
  type DeliveryKey,
  type IdentityRecord,
  type LogEntry,
} from './records.js'

/** Who claims, when, and what can be delivered there. */
export interface Claimer {
  readonly hasHandler: (event: ConversionEvent) => boolean
  readonly owner: string
  readonly now: number
}

/** A delivery whose turn has come, and the record that says so. */
export interface Claimed {
  readonly record: IdentityRecord
  /** What is to be run; absent where there is nothing to run any more. */
  readonly delivery?: Delivery
}

/** Takes a waiting delivery: withdraws it, settles it because nobody handles its event, or fixes it and says that it runs. Pure. */
export function claim(record: IdentityRecord, key: DeliveryKey, { hasHandler, owner, now }: Claimer): Claimed {
  const delivery = findDelivery(record, key)
  if (delivery?.state !== 'waiting') return { record }
  const verdict = due(record, delivery)
  if (verdict.action === 'withdraw') {
    return { record: withDelivery(record, key, settled(delivery, 'withdrawn', now)) }
  }
  const { previous: _before, ...rest } = delivery
  // A fail becomes a plain one or a reversal here, with what it takes back.
  const fixed = { ...rest, reversal: verdict.reversal, ...(verdict.previous && { previous: verdict.previous }) }
  if (!hasHandler(delivery.event)) {
    return { record: withDelivery(record, key, { ...settled(fixed, 'done', now), isUnheard: true }) }
  }
  const running: Delivery = { ...fixed, state: 'running', attempts: delivery.attempts + 1, startedAt: now, owner }
  return { record: withDelivery(record, key, running), delivery: running }
}

/**
 * Takes the first delivery of an identity whose time has come, if none of it runs; on the way withdraws what was overtaken and settles
 * what nobody handles. Where nothing may run (`mayRun`), only those two are done. Pure.
 */
export function claimNext(record: IdentityRecord, claimer: Claimer, mayRun = true): Claimed {
  for (let current = record; ;) {
    if (current.deliveries.some(({ state }) => state === 'running')) return { record: current }
    const [next] = current.deliveries
      .filter(({ state, dueAt }) => state === 'waiting' && isDue(dueAt, claimer.now))
      .sort((a, b) => a.sequence - b.sequence)
    if (next === undefined) return { record: current }
    const claimed = claim(current, keyOf(next), claimer)
    if (claimed.delivery !== undefined) return mayRun ? claimed : { record: current }
    current = claimed.record
  }
}

/** What the host is asked to deliver. */
export function jobOf(identity: string, delivery: Delivery): Job {
  const { event, attempts, callback, previous } = delivery
  const id = deliveryId(identity, keyOf(delivery))
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
export function settle(record: IdentityRecord, key: DeliveryKey, verdict: Verdict, patience: Patience): IdentityRecord {
  const delivery = findDelivery(record, key)
  if (delivery === undefined) return record
  if (verdict.state !== 'waiting') {
    return withDelivery(record, key, settled(delivery, verdict.state, patience.now))
  }
  return withDelivery(record, key, again(delivery, verdict, patience))
}

/** Dead with attempts left, because one more would repeat what the last one committed. Pure. */
export function bury(
  record: IdentityRecord,
  key: DeliveryKey,
  error: ConversionWebhookError,
  now: number,
): IdentityRecord {
  const delivery = findDelivery(record, key)
  if (delivery === undefined) return record
  const { code } = error
  const entry: LogEntry = { at: now, what: 'failed', attempt: delivery.attempts, code, ...messageOf(error) }
  return withDelivery(record, key, settled({ ...delivery, log: logged(delivery.log, entry) }, 'dead', now))
}

/** An attempt whose process is gone: it counts, so that a delivery that ends its process is dead in the end. Pure. */
export function lapse(record: IdentityRecord, key: DeliveryKey, patience: Patience): IdentityRecord {
  const delivery = findDelivery(record, key)
  if (delivery?.state !== 'running') return record
  const next = again(delivery, { state: 'waiting', code: 'ERR_CONVERSION_ATTEMPT_LAPSED' }, patience)
  return withDelivery(record, key, next.state === 'waiting' ? { ...next, dueAt: patience.now } : next)
}

function again(delivery: Delivery, verdict: Verdict & { state: 'waiting' }, patience: Patience): Delivery {
  const { code, error } = verdict
  const { now, maxAttempts, maxHoldMs } = patience
  const isHeld = code === 'ERR_CONVERSION_DELIVERY_HELD'
  const what = isHeld ? 'held' : code === 'ERR_CONVERSION_ATTEMPT_LAPSED' ? 'lapsed' : 'failed'
  const entry: LogEntry = { at: now, what, attempt: delivery.attempts, code, ...messageOf(error) }
  const attempts = isHeld ? delivery.attempts - 1 : delivery.attempts
  const holds = isHeld ? delivery.holds + 1 : delivery.holds
  const heldSince = isHeld ? (delivery.heldSince ?? now) : delivery.heldSince
  const { owner: _owner, ...rest } = delivery
  const next = {
    ...rest,
    attempts,
    holds,
    ...(heldSince !== undefined && { heldSince }),
    log: logged(delivery.log, entry),
  }
  const isOver = isHeld ? now - (heldSince ?? now) >= maxHoldMs : attempts >= maxAttempts
  if (isOver) return settled(next, 'dead', now)
  return { ...next, state: 'waiting', dueAt: now + retryDelayMs(attempts + holds, patience.random) }
}

const hourMs = 3_600_000

/** Nothing is put off by so much: what seems to be was put off by a clock that has jumped back since. */
export const jumpMs = 2 * hourMs

function isDue(dueAt: number, now: number): boolean {
  return dueAt <= now || dueAt > now + jumpMs
}

/** Milliseconds before the next attempt: 1 s after the first, twice as long each time, at most an hour; a fifth more or less by chance. */
export function retryDelayMs(tries: number, random: number): number {
  return Math.round(Math.min(hourMs, 1_000 * 2 ** Math.min(tries - 1, 20) * (0.8 + 0.4 * random)))
}

/** Dead, refused, or waiting for its time: at once, as if it had never been tried. Pure. */
export function replayed(delivery: Delivery, now: number): Delivery {
  const { heldSince: _held, settledAt, state, ...rest } = delivery
  const before: readonly LogEntry[] = settledAt === undefined ? [] : [{ at: settledAt, what: state }]
  const log = logged(delivery.log, ...before, { at: now, what: 'replayed' })
  return { ...rest, state: 'waiting', attempts: 0, holds: 0, dueAt: 0, log }
}

function settled(delivery: Delivery, state: 'done' | 'refused' | 'withdrawn' | 'dead', now: number): Delivery {
  const { owner: _owner, ...rest } = delivery
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

/** Withdraws every waiting delivery that was overtaken, but those whose turn is coming anyway. Pure. */
export function withdrawOvertaken(
  record: IdentityRecord,
  now: number,
  isQueued: (key: DeliveryKey) => boolean,
): IdentityRecord {
  const overtaken = record.deliveries.filter(
    (delivery) =>
      delivery.state === 'waiting' && !isQueued(keyOf(delivery)) && due(record, delivery).action === 'withdraw',
  )
  return overtaken.reduce(
    (changed, delivery) => withDelivery(changed, keyOf(delivery), settled(delivery, 'withdrawn', now)),
    record,
  )
}

export function isSettled(record: IdentityRecord): boolean {
  return !record.deliveries.some(isUnsettled)
}
