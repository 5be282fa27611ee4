import type { ConversionStatus } from '../callback/conversion.js'

/* Types that the contracts, the rules and the stores of an inbox share. */

/** The events that handlers are registered for. */
export type ConversionEvent = 'success' | 'fail' | 'pending' | 'goalComplete'

/** The outcome of a callback. */
export type Outcome = 'accepted' | 'duplicate' | 'stale' | 'conflict' | 'refused'

/** `waiting` and `running` are unsettled. `refused`: `confirm` answered `false`, or another claim has the order. */
export type DeliveryState = 'waiting' | 'running' | 'done' | 'dead' | 'withdrawn' | 'refused'

/** What was recorded of a claim before a callback. */
export interface Previous {
  readonly status: ConversionStatus
  /** Whether `goalComplete` had been delivered. */
  readonly goalComplete: boolean
}

/** A parameter whose recorded and received values differ, or that only one of the two states. */
export interface Difference {
  /** By documented name. */
  readonly parameter: string
  readonly recorded?: string
  readonly received?: string
}

/** What `onConflict` gets besides the conversion. */
export interface Contradiction {
  /** The id to replay: of the callback in quarantine, or of the refused delivery. */
  readonly id: string
  readonly recorded: Previous
  readonly differs: readonly Difference[]
}
