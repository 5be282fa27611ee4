import type { Issue } from '../errors.js'
import type { Repair } from './issues.js'
import type { Arrival } from './via.js'

/** A decoded parameter by its name on the wire. */
export type Pair = readonly [name: string, text: string]

/** Stands for what is not kept as it came: it is beyond the limits, or cannot be read at all, and may hold anything. */
export interface Digest {
  /** Bytes; characters where it came as text, or as values: as many of them as were read. */
  readonly length: number
  /** SHA-256, as hex. */
  readonly hash: string
}

/** What arrived, decoded but not yet judged: what the quarantine keeps, and what a replay starts from. */
export interface Received extends Arrival {
  readonly pairs: readonly Pair[]
  /** What went wrong while it was read. */
  readonly issues: readonly Issue[]
  readonly repairs: readonly Repair[]
  /** Names that were unknown when they were read, with values that were no texts: with other `fields` they may not pass for one. */
  readonly untyped?: Readonly<Record<string, 'number' | 'other'>>
  /** In the place of pairs that are not kept; such a callback cannot be replayed. */
  readonly digest?: Digest
}
