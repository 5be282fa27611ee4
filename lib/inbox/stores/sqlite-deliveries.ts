import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { Delivery } from '../records.js'
import type { DeliverySelection, StoredDelivery, Listed } from '../store.js'
import { deliveryWays, type ListedBy } from './delivery-ways.js'
import { idsOf, optional, text, toListedDelivery, toTime, type Row } from './rows.js'
import { inOrder, walk, type Listing, type Walked } from './sqlite-newest.js'
import { raw, sql, withQuestionMarks } from './sql.js'
import { preparing } from './sqlite-sql.js'
import type { DeliveryState } from '../vocabulary.js'
import { jumpMs } from '../delivery.js'
import type { LeftAttempt } from './sqlite-gone.js'
import type { SqliteClock } from './sqlite-clock.js'

const claims = 'conversion_webhook_claims'
const deliveries = 'conversion_webhook_deliveries'

const indexOf = (by: ListedBy): string =>
  by === 'running' ? 'conversion_webhook_running' : `conversion_webhook_by_${by}`

/** With at most so many deliveries, a state narrows a search more than a frequent address. */
const rare = 1_000

/** The listing of deliveries in a SQLite file. */
export class SqliteDeliveries implements Listing<DeliverySelection, Listed<StoredDelivery>> {
  readonly #sql: (sql: string) => StatementSync
  readonly #deliveryOf: (row: Row) => Delivery

  /** `deliveryOf` reads a delivery by the clocks of the store. */
  constructor(db: DatabaseSync, deliveryOf: (row: Row) => Delivery) {
    this.#sql = preparing(db)
    this.#deliveryOf = deliveryOf
  }

  /** See `Store.receivedAt`. */
  receivedAt(id: string): number | undefined {
    const colon = id.lastIndexOf(':')
    const row = this.#sql(
      `SELECT received_at FROM ${deliveries} WHERE claim = (SELECT number FROM ${claims} WHERE id = ?) AND event_key = ?
       UNION ALL SELECT received_at FROM conversion_webhook_quarantine WHERE id = ?`,
    ).get(id.slice(0, Math.max(colon, 0)), id.slice(colon + 1), id)
    return row && toTime(row.received_at)
  }

  walk(selection: DeliverySelection, portion: number): Walked {
    const { before, limit, state, email } = selection
    const isRare = email !== undefined && state !== undefined && this.#isRare(state)
    const { ways, filter } = deliveryWays(selection, isRare)
    const indexed = ways.map(({ by, where }) => ({
      from: `${deliveries} t INDEXED BY ${indexOf(by)} CROSS JOIN (SELECT number AS claim_number, id AS claim_id FROM ${claims}) c ON c.claim_number = t.claim`,
      time: 't.received_at',
      where,
    }))
    return walk(this.#sql, { ways: indexed, id: `c.claim_id || ':' || t.event_key`, filter, before, limit, portion })
  }

  /** Whether few deliveries are in a state, by its index. */
  #isRare(state: DeliveryState): boolean {
    return deliveryWays({ state, limit: rare, before: undefined }).ways.every(({ by, where }) => {
      const from = raw(`${deliveries} INDEXED BY ${indexOf(by)}`)
      const counting = sql`SELECT count(*) AS count FROM (SELECT 1 FROM ${from} WHERE ${where} LIMIT ${rare})`
      return Number(this.#sql(withQuestionMarks(counting)).get(...counting.values)?.count) < rare
    })
  }

  rows(numbers: readonly number[]): readonly Listed<StoredDelivery>[] {
    const rows = this.#sql(
      `SELECT d.*, c.id, c.identity, c.reserved_order FROM ${deliveries} d CROSS JOIN ${claims} c ON c.number = d.claim
       WHERE d.number IN (SELECT value FROM json_each(?))`,
    ).all(JSON.stringify(numbers))
    return inOrder(numbers, rows).map((row) => toListedDelivery(row, text(row.id), this.#deliveryOf))
  }
}

/** Finds deliveries for a process: those that are due, and those that another process left running. */
export class SqliteDue {
  readonly #sql: (sql: string) => StatementSync
  readonly #clock: SqliteClock

  constructor(db: DatabaseSync, clock: SqliteClock) {
    this.#sql = preparing(db)
    this.#clock = clock
  }

  /** Claims with a due delivery and no running one, oldest first. */
  claims(limit: number): readonly string[] {
    const now = this.#clock.now()
    const steady = now + this.#clock.lead
    const find = (condition: string, order = 'd.due_at'): StatementSync =>
      this.#sql(
        `SELECT c.id FROM ${deliveries} d CROSS JOIN ${claims} c ON c.number = d.claim
         WHERE d.state = 'waiting' AND ${condition}
         AND NOT EXISTS (SELECT 1 FROM ${deliveries} r WHERE r.claim = d.claim AND r.state = 'running')
         ORDER BY ${order} LIMIT ?`,
      )
    const rows = [
      ...find('d.held_until IS NULL AND d.due_at <= ?').all(steady, limit),
      ...find('d.held_until IS NULL AND d.due_at > ?').all(steady + jumpMs, limit), // so far ahead that the clock has been lost since
      ...find('d.held_until <= ?', 'd.held_until').all(now, limit),
    ]
    return idsOf(rows)
  }

  /** Attempts that run for one of these owners. */
  leftAttempts(owners: readonly string[], limit: number): readonly LeftAttempt[] {
    if (owners.length === 0) return []
    const rows = this.#sql(
      `SELECT c.id, d.owner, d.started_at FROM ${deliveries} d CROSS JOIN ${claims} c ON c.number = d.claim
       WHERE d.state = 'running' AND d.owner IN (SELECT value FROM json_each(?)) LIMIT ?`,
    ).all(JSON.stringify(owners), limit)
    return rows.map((row) => ({ claim: text(row.id), owner: text(row.owner), startedAt: optional(row.started_at) }))
  }
}
