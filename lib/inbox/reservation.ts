import type { Reserved, Verdict } from './inbox.js'
import { isSuccess } from './ledger.js'
import { isRunning, ordersOf, withOrder, type ClaimRecord, type Delivery } from './records.js'

/*
 * One order, one claim: before a handler of `success` or `goalComplete` runs, its claim must have two orders, the identity and the order
 * that `confirm` named. Pure.
 */

/** The claim that has an order. */
export interface Holder {
  readonly claim: string
  /** Whether one of its deliveries runs. */
  readonly isRunning: boolean
}

/** The claim that has each order, by the order's identity. */
export type Holders = ReadonlyMap<string, Holder>

/** All that the rules need of holders. */
export type HolderLookup = Pick<Holders, 'get'>

/** Finds each holder once, when a rule asks for it: most changes ask for one, or none. */
export function holdersOnce(find: (order: string) => Holder | undefined): HolderLookup {
  const known = new Map<string, Holder | undefined>()
  const get = (order: string): Holder | undefined => {
    if (!known.has(order)) known.set(order, find(order))
    return known.get(order)
  }
  return { get }
}

export function holderOf(record: ClaimRecord): Holder {
  return { claim: record.id, isRunning: isRunning(record) }
}

/** Finds the holder of each order, one by one. */
export function holdersBy(orders: Iterable<string>, find: (order: string) => Holder | undefined): Holders {
  const holders = new Map<string, Holder>()
  for (const order of orders) {
    const holder = find(order)
    if (holder) holders.set(order, holder)
  }
  return holders
}

/** The holders of these orders other than this claim. */
export function otherHolders(orders: readonly string[], claim: string, holders: HolderLookup): readonly Holder[] {
  const others: Holder[] = []
  for (const order of orders) {
    const holder = holders.get(order)
    if (holder !== undefined && holder.claim !== claim) others.push(holder)
  }
  return others
}

/** Those of these orders that the claim does not have. */
export function missingOrders(orders: readonly string[], claim: string, holders: HolderLookup): readonly string[] {
  return orders.filter((order) => holders.get(order)?.claim !== claim)
}

/** Whether a claim has both of its orders, so that it may be paid. */
export function hasOrders(claim: ClaimRecord, holders: HolderLookup): boolean {
  return missingOrders(ordersOf(claim), claim.id, holders).length === 0
}

export type Reservation =
  /** The claim gets the orders in `reserved`, and keeps those that it had. */
  | { readonly record: ClaimRecord; readonly reserved: readonly string[] }
  | Extract<Reserved, { verdict: Verdict } | { isAnotherOrder: true }>

/** Reserves the order of a running delivery after a yes of `confirm`. */
export function reserve(
  record: ClaimRecord,
  delivery: Delivery,
  holders: HolderLookup,
  order: string = record.identity,
): Reservation {
  const takesOrder = delivery.takesOrder === true
  if (record.order !== undefined && record.order !== order && !takesOrder) return { isAnotherOrder: true }
  const keys = ordersOf({ identity: record.identity, order })
  const others = otherHolders(keys, record.id, holders)
  const [other] = others
  if (other && !takesOrder) return { verdict: { state: 'refused', takenBy: other.claim } }
  if (others.some(({ isRunning }) => isRunning)) {
    return { verdict: { state: 'waiting', code: 'ERR_CONVERSION_ORDER_TAKEN' } }
  }
  return { record: withOrder(record, order), reserved: missingOrders(keys, record.id, holders) }
}

/**
 * Whether a delivery may still pay: its claim has its orders, none of which a person has moved to another claim. `order` is the one that
 * `confirm` named in this attempt.
 */
export function mayPay(record: ClaimRecord, delivery: Delivery, holders: HolderLookup, order?: string): boolean {
  if (!isSuccess(delivery)) return true
  const isNamed = order === undefined || holders.get(order)?.claim === record.id
  return isNamed && hasOrders(record, holders)
}
