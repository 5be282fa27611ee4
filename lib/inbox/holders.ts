import { isRunning, ordersOf, type ClaimRecord } from './records.js'

/** The claim that has an order. */
export interface Holder {
  readonly claim: string
  /** Whether one of its deliveries runs. */
  readonly isRunning: boolean
}

/** The claim that has each order, by the order's identity. */
export type Holders = ReadonlyMap<string, Holder>

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
export function otherHolders(orders: readonly string[], claim: string, holders: Holders): readonly Holder[] {
  const all = orders.map((order) => holders.get(order)).filter((holder) => holder !== undefined)
  return all.filter((holder) => holder.claim !== claim)
}

/** Those of these orders that the claim does not have. */
export function missingOrders(orders: readonly string[], claim: string, holders: Holders): readonly string[] {
  return [...new Set(orders)].filter((order) => holders.get(order)?.claim !== claim)
}

/** Whether a claim has both of its orders, so that it may be paid. */
export function hasOrders(claim: ClaimRecord, holders: Holders): boolean {
  return missingOrders(ordersOf(claim), claim.id, holders).length === 0
}
