import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { jumpMs } from '../delivery.js'
import type { LeftAttempt } from '../lapsed.js'
import { optional, text } from './rows.js'
import type { SqliteClock } from './sqlite-clock.js'
import { preparing } from './sqlite-sql.js'

const claims = 'conversion_webhook_claims'
const deliveries = 'conversion_webhook_deliveries'

/** What a process finds to be delivered: what is due, and what another process left running. */
export class SqliteDue {
  readonly #sql: (sql: string) => StatementSync
  readonly #clock: SqliteClock

  constructor(db: DatabaseSync, clock: SqliteClock) {
    this.#sql = preparing(db)
    this.#clock = clock
  }

  /** Claims with a delivery whose time has come and none that runs, oldest first. */
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
      ...find('d.held_until IS NULL AND d.due_at > ?').all(steady + jumpMs, limit), // of a clock that is no longer known
      ...find('d.held_until <= ?', 'd.held_until').all(now, limit),
    ]
    return rows.map(({ id }) => text(id))
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
