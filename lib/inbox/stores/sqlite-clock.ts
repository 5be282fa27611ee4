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
 * The clock that retries are due by: it goes on evenly, whatever happens to the clock of the machine, and all processes of a file share it.
 * Each process goes by its own monotonic time; with each beat it writes down how late it is, and takes over a later time of others. A
 * process that starts adds what has passed since the last beat by the clock of the machine, at least nothing.
 *
 * Above the store all times are of the machine's clock. So what the file keeps is shown as the time that it is when it comes, and kept
 * as what it is in steady time.
 */
export class SqliteClock {
  readonly #clocks: Clocks
  readonly #sql: (sql: string) => StatementSync
  /** What the steady clock shows when `elapsed` is 0. */
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

  /** How far the steady clock is ahead of the machine's; the same from one look to the next, so that what is read is written alike. */
  get lead(): number {
    return this.#lead
  }

  now(): number {
    return this.#clocks.wall()
  }

  /** Sees whether the machine's clock has jumped. */
  look(): void {
    const lead = Math.round(this.#steady() - this.#clocks.wall())
    if (Math.abs(lead - this.#lead) > toleratedMs) this.#lead = lead
  }

  /** Writes down how late it is. */
  beat(): void {
    const steady = Math.max(this.#steady(), this.#last()?.steady ?? -Infinity)
    this.#start = steady - this.#clocks.elapsed()
    this.#sql(replaceIn('conversion_webhook_clock', ['number', 'steady', 'wall'])).run(
      1,
      Math.round(steady),
      this.#clocks.wall(),
    )
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
