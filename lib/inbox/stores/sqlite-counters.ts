import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { QuarantineKind, Size } from '../quarantine.js'
import type { Counts, DeliveryCounts, StoredCount } from '../store.js'
import { callbackCountsIn, deliveryCountsIn, sizeIn, type Tally } from '../tally.js'
import { text, toDailyCount } from './rows.js'
import { preparing } from './sqlite-sql.js'
import type { Outcome } from '../vocabulary.js'

const counters = 'conversion_webhook_counters'
const days = 'conversion_webhook_days'

/** How often something personal was removed, and how many of these removals the file was written anew after. */
const removals = 'removals'
const forgotten = 'removals.forgotten'

/** What is counted in the transaction that changes it, so that nobody has to count rows. */
export class SqliteCounters {
  readonly #sql: (sql: string) => StatementSync

  constructor(db: DatabaseSync) {
    this.#sql = preparing(db)
  }

  /** Adds a tally, and empties it. */
  take(tally: Tally): void {
    for (const [name, sum] of tally.sums) this.#add(name, sum)
    const addToDay = this.#sql(
      `INSERT INTO ${days} (day, event_key, count) VALUES (?, ?, ?)
       ON CONFLICT (day, event_key) DO UPDATE SET count = count + excluded.count`,
    )
    for (const { day, event, count } of tally.days) addToDay.run(day, event, count)
    tally.clear()
  }

  /** Counts a removal, in its own transaction. Those from the quarantine are counted by triggers. */
  addRemoval(): void {
    this.#add(removals, 1)
  }

  /** How many removals there were, where copies of what was removed may still be in the file. */
  removals(): number | undefined {
    const all = this.#all()
    const count = all.get(removals) ?? 0
    return count > (all.get(forgotten) ?? 0) ? count : undefined
  }

  /** The file was written anew after so many removals. Others may have done the same, after more. */
  forgetRemovals(count: number): void {
    this.#sql(
      `INSERT INTO ${counters} (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value)`,
    ).run(forgotten, count)
  }

  callbacks(): Counts<Outcome> {
    return callbackCountsIn(this.#all())
  }

  deliveries(): DeliveryCounts {
    return deliveryCountsIn(this.#all())
  }

  quarantine(kind: QuarantineKind): Size {
    return sizeIn(this.#all(), kind)
  }

  days(since: number): readonly StoredCount[] {
    return this.#sql(`SELECT day, event_key, count FROM ${days} WHERE day >= ?`).all(since).map(toDailyCount)
  }

  #add(name: string, sum: number): void {
    this.#sql(
      `INSERT INTO ${counters} (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value`,
    ).run(name, sum)
  }

  /** There is one for each name, and the names are few. */
  #all(): ReadonlyMap<string, number> {
    const rows = this.#sql(`SELECT name, value FROM ${counters}`).all()
    return new Map(rows.map(({ name, value }) => [text(name), Number(value)]))
  }
}
