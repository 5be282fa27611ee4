import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { preparing, replaceIn } from './sqlite-sql.js'

/** The clocks of a process. */
export interface Clocks {
  /** Milliseconds since 1970. May jump, both ways. */
  readonly wall: () => number
  /** Milliseconds since some moment, by a clock that never jumps. */
  readonly elapsed: () => number
}

export const machineClocks: Clocks = { wall: () => Date.now(), elapsed: () => performance.now() }

const toleratedMs = 1_000

/**
 * The steady clock, by which retries are due: it never jumps, whatever happens to the machine's clock, and all processes of a file share it.
 * Each process counts by its own monotonic clock. With each beat a process records its steady time, or takes over a later one of others. A
 * process that starts adds the time since the last beat by the machine's clock, if that is positive.
 *
 * The file keeps steady times. Code above the store sees times of the machine's clock: the store converts them when it reads and writes.
 */
export class SqliteClock {
  readonly #clocks: Clocks
  readonly #sql: (sql: string) => StatementSync
  /** The steady time when `elapsed` was 0. */
  #start: number
  #lead = 0

  constructor(db: DatabaseSync, clocks: Clocks) {
    this.#clocks = clocks
    this.#sql = preparing(db)
    const last = this.#last()
    const wall = clocks.wall()
    const steady = last ? last.steady + Math.max(0, wall - last.wall) : wall
    this.#start = steady - clocks.elapsed()
    this.look()
  }

  /** How far the steady clock is ahead of the machine's. Constant between two calls of `look`, so that a time is written as it was read. */
  get lead(): number {
    return this.#lead
  }

  now(): number {
    return this.#clocks.wall()
  }

  /** Notices a jump of the machine's clock. */
  look(): void {
    const lead = Math.round(this.#steady() - this.#clocks.wall())
    if (Math.abs(lead - this.#lead) > toleratedMs) this.#lead = lead
  }

  /** Records the steady time. */
  beat(): void {
    const steady = Math.max(this.#steady(), this.#last()?.steady ?? -Infinity)
    this.#start = steady - this.#clocks.elapsed()
    const put = this.#sql(replaceIn('conversion_webhook_clock', ['number', 'steady', 'wall']))
    put.run(1, Math.round(steady), this.#clocks.wall())
    this.look()
  }

  #steady(): number {
    return this.#start + this.#clocks.elapsed()
  }

  #last() {
    const row = this.#sql('SELECT steady, wall FROM conversion_webhook_clock').get()
    return row && { steady: Number(row.steady), wall: Number(row.wall) }
  }
}
