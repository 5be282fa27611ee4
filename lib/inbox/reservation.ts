import { orderIdentity } from './identity.js'
import type { Reserved, Verdict } from './inbox.js'
import { hasOrders, type Holders } from './holders.js'
import { isSuccess } from './ledger.js'
import { keyOf, withDelivery, type ClaimRecord, type Delivery } from './records.js'

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
  const keys = [...new Set([record.identity, order])].filter((key) => holders.get(key)?.claim !== record.id)
  const others = keys.map((key) => holders.get(key)).filter((holder) => holder !== undefined)
  const [other] = others
  if (other && !takes) return { verdict: { state: 'refused', takenBy: other.claim } }
  if (others.some(({ isRunning }) => isRunning)) {
    return { verdict: { state: 'waiting', code: 'ERR_CONVERSION_ORDER_TAKEN' } }
  }
  const { takes: _taken, ...kept } = delivery
  const won = takes ? withDelivery(record, keyOf(delivery), kept) : record
  return { record: record.order === order ? won : { ...won, order }, reserved: keys }
}

/** Whether a delivery may still pay: nobody has moved its order to another claim. */
export function hasOrder(
  { id, identity }: ClaimRecord,
  delivery: Delivery,
  holders: Holders,
  order = identity,
): boolean {
  return !isSuccess(delivery) || hasOrders({ id, identity, order }, holders)
}
