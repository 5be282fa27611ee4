import type { ClaimRecord } from './records.js'

/** The claim that has an order. */
export interface Holder {
  readonly claim: string
  /** Whether one of its deliveries runs. */
  readonly isRunning: boolean
}

/** Which claim has an order, by the order's identity. */
export type Holders = ReadonlyMap<string, Holder>

export function holderOf({ id, deliveries }: ClaimRecord): Holder {
  return { claim: id, isRunning: deliveries.some(({ state }) => state === 'running') }
}
