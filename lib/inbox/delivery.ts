import type { Job, Verdict } from './inbox.js'
import { due, type ConversionEvent } from './ledger.js'
import {
  deliveryId,
  findDelivery,
  isUnsettled,
  keyOf,
  withDelivery,
  type Delivery,
  type DeliveryKey,
  type IdentityRecord,
} from './records.js'

/** A delivery whose turn has come, and the record that says so. */
export interface Claimed {
  readonly record: IdentityRecord
  /** What is to be run; absent where there is nothing to run any more. */
  readonly delivery?: Delivery
}

/** Takes a waiting delivery: withdraws it, settles it because nobody handles its event, or fixes it and says that it runs. Pure. */
export function claim(
  record: IdentityRecord,
  key: DeliveryKey,
  hasHandler: (event: ConversionEvent) => boolean,
): Claimed {
  const delivery = findDelivery(record, key)
  if (delivery?.state !== 'waiting') return { record }
  const verdict = due(record, delivery)
  if (verdict.action === 'withdraw') return { record: withDelivery(record, key, { ...delivery, state: 'withdrawn' }) }
  const { previous: _before, ...rest } = delivery
  // A fail becomes a plain one or a reversal here, with what it takes back.
  const fixed = { ...rest, reversal: verdict.reversal, ...(verdict.previous && { previous: verdict.previous }) }
  if (!hasHandler(delivery.event)) {
    return { record: withDelivery(record, key, { ...fixed, state: 'done', isUnheard: true }) }
  }
  const running: Delivery = { ...fixed, state: 'running', attempts: delivery.attempts + 1 }
  return { record: withDelivery(record, key, running), delivery: running }
}

/** What the host is asked to deliver. */
export function jobOf(identity: string, delivery: Delivery): Job {
  const { event, attempts, callback, previous } = delivery
  const id = deliveryId(identity, keyOf(delivery))
  return { event, id, attempt: attempts, callback, ...(previous && { previous }) }
}

/** What an attempt came to. Pure. */
export function settle(record: IdentityRecord, key: DeliveryKey, verdict: Verdict): IdentityRecord {
  const delivery = findDelivery(record, key)
  if (delivery === undefined) return record
  const { state } = verdict
  return withDelivery(
    record,
    key,
    state === 'waiting' ? { ...delivery, state, lastError: verdict.code } : { ...delivery, state },
  )
}

/** Withdraws every waiting delivery that was overtaken, but those whose turn is coming anyway. Pure. */
export function withdrawOvertaken(record: IdentityRecord, isQueued: (key: DeliveryKey) => boolean): IdentityRecord {
  const overtaken = record.deliveries.filter(
    (delivery) =>
      delivery.state === 'waiting' && !isQueued(keyOf(delivery)) && due(record, delivery).action === 'withdraw',
  )
  return overtaken.reduce(
    (changed, delivery) => withDelivery(changed, keyOf(delivery), { ...delivery, state: 'withdrawn' }),
    record,
  )
}

export function isSettled(record: IdentityRecord): boolean {
  return !record.deliveries.some(isUnsettled)
}
