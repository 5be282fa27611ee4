import { orderIdentity } from './identity.js'
import type { Reserved, Verdict } from './inbox.js'
import { hasOrders, missingOrders, otherHolders, type Holders } from './holders.js'
import { isSuccess } from './ledger.js'
import { withoutTakes, type ClaimRecord, type Delivery } from './records.js'

/*
 * One order, one claim: before a handler of `success` or `goalComplete` runs, its claim must have two orders, the identity and the order
 * that `confirm` named. Pure.
 */

export type Reservation =
  /** The claim gets the orders in `reserved`, and keeps those that it had. */
  | { readonly record: ClaimRecord; readonly reserved: readonly string[] }
  | Extract<Reserved, { verdict: Verdict } | { isAnotherOrder: true }>

/** The identity of the order that `confirm` named; undefined if it named none, so that the callback's own order counts. */
export function orderOf({ callback }: Delivery, named: string | undefined): string | undefined {
  return named === undefined ? undefined : orderIdentity(callback.scope, named)
}

/** Reserves the order of a running delivery after a yes of `confirm`. */
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
 * Whether a delivery may still pay: its claim has its orders, none of which a person has moved to another claim. `order` is the one that
 * `confirm` named in this attempt.
 */
export function mayPay(record: ClaimRecord, delivery: Delivery, holders: Holders, order?: string): boolean {
  if (!isSuccess(delivery)) return true
  const isNamed = order === undefined || holders.get(order)?.claim === record.id
  return isNamed && hasOrders(record, holders)
}
