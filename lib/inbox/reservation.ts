import { orderIdentity } from './identity.js'
import type { Reserved, Verdict } from './inbox.js'
import { hasOrders, missingOrders, otherHolders, type Holders } from './holders.js'
import { isSuccess } from './ledger.js'
import { withoutTakes, type ClaimRecord, type Delivery } from './records.js'

/*
 * One order, one claim: before a handler of `success` or `goalComplete` runs, its claim has two orders, the identity and the order that
 * `confirm` named. Pure.
 */

export type Reservation =
  /** The claim has the orders in `reserved` from now on, besides those that it had. */
  | { readonly record: ClaimRecord; readonly reserved: readonly string[] }
  | Extract<Reserved, { verdict: Verdict } | { isAnotherOrder: true }>

/** The identity of the order that `confirm` named for a delivery; absent where the order is the one that the callback names. */
export function orderOf({ callback }: Delivery, named: string | undefined): string | undefined {
  return named === undefined ? undefined : orderIdentity(callback.scope, named)
}

/** Reserves the order of a delivery that runs and is confirmed. */
export function reserve(
  record: ClaimRecord,
  delivery: Delivery,
  holders: Holders,
  order: string = record.identity,
): Reservation {
  const takes = delivery.takes === true
  if (record.order !== undefined && record.order !== order && !takes) return { isAnotherOrder: true }
  const keys = [record.identity, order]
  const others = otherHolders(keys, record.id, holders)
  const [other] = others
  if (other && !takes) return { verdict: { state: 'refused', takenBy: other.claim } }
  if (others.some(({ isRunning }) => isRunning)) {
    return { verdict: { state: 'waiting', code: 'ERR_CONVERSION_ORDER_TAKEN' } }
  }
  return { record: { ...withoutTakes(record), order }, reserved: missingOrders(keys, record.id, holders) }
}

/**
 * Whether a delivery may still pay: nobody has moved an order of its claim to another one, whichever attempt reserved it. `order` is what
 * `confirm` named in this attempt.
 */
export function mayPay(record: ClaimRecord, delivery: Delivery, holders: Holders, order?: string): boolean {
  if (!isSuccess(delivery)) return true
  const isNamed = order === undefined || holders.get(order)?.claim === record.id
  return isNamed && hasOrders(record, holders)
}
