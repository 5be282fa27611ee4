import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { QuarantineKind, Size } from '../quarantine.js'
import type { StoredCount } from '../store.js'
import { sizeIn, type Tally } from '../tally.js'
import { text, toDailyCount } from './rows.js'
import { preparing } from './sqlite-sql.js'

const counters = 'conversion_webhook_counters'
const days = 'conversion_webhook_days'

/** How many removals of personal data there were, and how many of them the file was written anew after. */
const removals = 'removals'
const forgotten = 'removals.forgotten'

/** Counts changes in their own transactions, so that nobody has to count rows. */
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

  /** Counts a removal, in the transaction that removes. Triggers count removals from the quarantine. */
  addRemoval(): void {
    this.#add(removals, 1)
  }

  /** The number of all removals, if copies of removed data may still be in the file; else undefined. */
  removals(): number | undefined {
    const all = this.read()
    const count = all.get(removals) ?? 0
    return count > (all.get(forgotten) ?? 0) ? count : undefined
  }

  /** Records that the file was written anew after so many removals. Another process may have recorded more. */
  forgetRemovals(count: number): void {
    this.#sql(
      `INSERT INTO ${counters} (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value)`,
    ).run(forgotten, count)
  }

  quarantine(kind: QuarantineKind): Size {
    return sizeIn(this.read(), kind)
  }

  days(since: number): readonly StoredCount[] {
    return this.#sql(`SELECT day, event_key, count FROM ${days} WHERE day >= ?`).all(since).map(toDailyCount)
  }

  #add(name: string, sum: number): void {
    this.#sql(
      `INSERT INTO ${counters} (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value`,
    ).run(name, sum)
  }

  /** All counters by name. */
  read(): ReadonlyMap<string, number> {
    const rows = this.#sql(`SELECT name, value FROM ${counters}`).all()
    return new Map(rows.map(({ name, value }) => [text(name), Number(value)]))
  }
}
