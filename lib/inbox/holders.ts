import { isRunning, ordersOf, type ClaimRecord } from './records.js'

/** The claim that has an order. */
export interface Holder {
  readonly claim: string
  /** Whether one of its deliveries runs. */
  readonly isRunning: boolean
}

/** Which claim has an order, by the order's identity. */
export type Holders = ReadonlyMap<string, Holder>

export function holderOf(record: ClaimRecord): Holder {
  return { claim: record.id, isRunning: isRunning(record) }
}

/** Finds who has each of some orders, one by one. */
export function holdersBy(orders: Iterable<string>, find: (order: string) => Holder | undefined): Holders {
  const holders = new Map<string, Holder>()
  for (const order of orders) {
    const holder = find(order)
    if (holder) holders.set(order, holder)
  }
  return holders
}

/** Whether a claim has both of its orders, so that it may be paid. */
export function hasOrders(claim: Pick<ClaimRecord, 'id' | 'identity' | 'order'>, holders: Holders): boolean {
  return ordersOf(claim).every((order) => holders.get(order)?.claim === claim.id)
}
