import type { ConversionStatus } from '../callback/conversion.js'

/* What the contracts, the rules and the stores of an inbox call the same. Types only. */

/** What handlers are registered for. */
export type ConversionEvent = 'success' | 'fail' | 'pending' | 'goalComplete'

/** What a callback came to. */
export type Outcome = 'accepted' | 'duplicate' | 'stale' | 'conflict' | 'refused'

/** `running` and `waiting` are unsettled; `refused` is what `confirm` answered with false. */
export type DeliveryState = 'waiting' | 'running' | 'done' | 'dead' | 'withdrawn' | 'refused'

/** What was known of the conversion before a callback. */
export interface Previous {
  readonly status: ConversionStatus
  /** Whether `goalComplete` had been delivered. */
  readonly goalComplete: boolean
}

/** A parameter that is another one than the recorded one, or on one side only. */
export interface Difference {
  /** By documented name. */
  readonly parameter: string
  readonly recorded?: string
  readonly received?: string
}

/** What `onConflict` is told besides the callback. */
export interface Contradiction {
  /** The id of what a person may replay: the callback in quarantine, or the refused delivery. */
  readonly id: string
  readonly recorded: Previous
  readonly differs: readonly Difference[]
}
