import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { jumpMs } from '../delivery.js'
import type { Holder } from '../holders.js'
import type { People } from '../identity.js'
import type { ClaimRecord } from '../records.js'
import {
  callbackCell,
  changedDeliveries,
  deliveryCells,
  deliveryColumns,
  claimCells,
  claimColumns,
  text,
  toDelivery,
  toRecord,
  type Row,
} from './rows.js'
import { rivalsFor } from './claim-search.js'
import { SqliteCounters } from './sqlite-counters.js'
import { SqliteDeliveries } from './sqlite-deliveries.js'
import { assign, insertInto, preparing } from './sqlite-sql.js'

const claims = 'conversion_webhook_claims'
const reservations = 'conversion_webhook_reservations'
const deliveries = 'conversion_webhook_deliveries'
const workers = 'conversion_webhook_workers'

/** Two that do not contradict are one too many. */
const enough = 2

/** As the partial index spells it. */
const waitsUnheld = `state = 'waiting' AND held_until IS NULL AND holds = 0`

const statements = {
  insertClaim: insertInto(claims, claimColumns),
  updateClaim: `UPDATE ${claims} SET ${assign(claimColumns)} WHERE number = ?`,
  removeDelivery: `DELETE FROM ${deliveries} WHERE claim = ? AND event_key = ?`,
  updateDelivery: `UPDATE ${deliveries} SET ${assign(deliveryColumns.slice(2, -1))} WHERE claim = ? AND event_key = ?`,
  putDelivery: insertInto(deliveries, deliveryColumns).replace('INSERT', 'INSERT OR REPLACE'),
}

/** The statements of the SQLite store, and what their rows mean. */
export class SqliteRows {
  readonly counters: SqliteCounters
  readonly listing: SqliteDeliveries
  readonly #sql: (sql: string) => StatementSync
  /** The numbers of records that were read or written. */
  readonly #numbers = new WeakMap<ClaimRecord, number>()

  constructor(db: DatabaseSync) {
    this.counters = new SqliteCounters(db)
    this.listing = new SqliteDeliveries(db)
    this.#sql = preparing(db)
  }

  record(id: string): ClaimRecord | undefined {
    const row = this.#sql(`SELECT * FROM ${claims} WHERE id = ?`).get(id)
    return row && this.#recordOf(row)
  }

  records(after: string, limit: number): readonly ClaimRecord[] {
    const rows = this.#sql(`SELECT * FROM ${claims} WHERE id > ? ORDER BY id LIMIT ?`).all(after, limit)
    return rows.map((row) => this.#recordOf(row))
  }

  /** Claims of an identity, the first one first. */
  claims(identity: string, limit: number): readonly ClaimRecord[] {
    const rows = this.#sql(
      `SELECT * FROM (SELECT * FROM ${claims} WHERE id = ? UNION ALL SELECT * FROM ${claims} WHERE id <> identity AND identity = ?) LIMIT ?`,
    ).all(identity, identity, limit)
    return rows.map((row) => this.#recordOf(row))
  }

  /** The ids of the rivals that a callback may belong to, besides the first claim and the one that has the order. */
  rivals(identity: string, people: People, agreeing = enough): readonly string[] {
    const using = (index: string): string => `INDEXED BY conversion_webhook_rivals_by_${index}`
    const { sql, values } = rivalsFor(claims, identity, people, agreeing, using)
    return this.#sql(sql)
      .all(...values)
      .map(({ id }) => text(id))
  }

  holder(order: string): Holder | undefined {
    const row = this.#sql(
      `SELECT r.claim, EXISTS (SELECT 1 FROM ${claims} c CROSS JOIN ${deliveries} d ON d.claim = c.number
         WHERE c.id = r.claim AND d.state = 'running') AS is_running FROM ${reservations} r WHERE r.order_key = ?`,
    ).get(order)
    return row && { claim: text(row.claim), isRunning: Number(row.is_running) === 1 }
  }

  reserve(order: string, claim: string): void {
    this.#sql(
      `INSERT INTO ${reservations} (order_key, claim) VALUES (?, ?) ON CONFLICT (order_key) DO UPDATE SET claim = excluded.claim`,
    ).run(order, claim)
  }

  #recordOf(row: Row): ClaimRecord {
    const number = Number(row.number)
    const rows = this.#sql(`SELECT * FROM ${deliveries} WHERE claim = ? ORDER BY sequence`).all(number)
    const record = toRecord(row, rows.map(toDelivery))
    this.#numbers.set(record, number)
    return record
  }

  writeRecord(before: ClaimRecord | undefined, after: ClaimRecord): void {
    const number = this.#writeClaim(before, after)
    this.#numbers.set(after, number)
    const { changed, gone } = changedDeliveries(before, after)
    for (const key of gone) this.#sql(statements.removeDelivery).run(number, key)
    for (const delivery of changed) {
      const [claim = null, key = null, ...state] = deliveryCells(number, delivery, after)
      const isKnown = before?.deliveries.some(
        (old) =>
          old.callback === delivery.callback && old.event === delivery.event && old.reversal === delivery.reversal,
      )
      if (isKnown === true) this.#sql(statements.updateDelivery).run(...state, claim, key)
      else this.#sql(statements.putDelivery).run(claim, key, ...state, callbackCell(delivery))
    }
  }

  /** The number of the claim. */
  #writeClaim(before: ClaimRecord | undefined, after: ClaimRecord): number {
    const cells = claimCells(after)
    const number = before && this.#numbers.get(before)
    if (before === undefined || number === undefined) {
      return Number(this.#sql(statements.insertClaim).run(...cells).lastInsertRowid)
    }
    const old = claimCells(before)
    if (cells.some((cell, index) => cell !== old[index])) this.#sql(statements.updateClaim).run(...cells, number)
    return number
  }

  /** Claims with a delivery whose time has come and none that runs, oldest first. */
  dueClaims(now: number, limit: number): readonly string[] {
    const find = (condition: string, order = 'd.due_at'): StatementSync =>
      this.#sql(
        `SELECT c.id FROM ${deliveries} d CROSS JOIN ${claims} c ON c.number = d.claim
         WHERE d.state = 'waiting' AND ${condition}
         AND NOT EXISTS (SELECT 1 FROM ${deliveries} r WHERE r.claim = d.claim AND r.state = 'running')
         ORDER BY ${order} LIMIT ?`,
      )
    const rows = [
      ...find('d.held_until IS NULL AND d.due_at <= ?').all(now, limit),
      ...find('d.held_until IS NULL AND d.due_at > ?').all(now + jumpMs, limit), // the clock has jumped back
      ...find('d.held_until <= ?', 'd.held_until').all(now, limit),
    ]
    return rows.map(({ id }) => text(id))
  }

  /** Claims with a delivery that runs for one of these owners. */
  leftClaims(owners: readonly string[], limit: number): readonly string[] {
    if (owners.length === 0) return []
    const rows = this.#sql(
      `SELECT c.id FROM ${deliveries} d CROSS JOIN ${claims} c ON c.number = d.claim
       WHERE d.state = 'running' AND d.owner IN (SELECT value FROM json_each(?)) LIMIT ?`,
    ).all(JSON.stringify(owners), limit)
    return rows.map(({ id }) => text(id))
  }

  oldestWaitingAt(): number | undefined {
    const row = this.#sql(
      `SELECT min(received_at) AS oldest FROM ${deliveries} INDEXED BY conversion_webhook_waiting_unheld WHERE ${waitsUnheld}`,
    ).get()
    return row?.oldest === null ? undefined : Number(row?.oldest)
  }

  beat(owner: string): void {
    this.#sql(`INSERT INTO ${workers} (id, beat) VALUES (?, 1) ON CONFLICT (id) DO UPDATE SET beat = beat + 1`).run(
      owner,
    )
  }

  /** Makes sure that an owner is a worker: one that was stopped for long has been forgotten by the others. */
  enrol(owner: string): void {
    this.#sql(`INSERT OR IGNORE INTO ${workers} (id, beat) VALUES (?, 1)`).run(owner)
  }

  /** The beats of the other workers. */
  beats(owner: string): (readonly [string, number])[] {
    const rows = this.#sql(`SELECT id, beat FROM ${workers} WHERE id <> ?`).all(owner)
    return rows.map(({ id, beat }) => [text(id), Number(beat)] as const)
  }

  /** Owners of running deliveries that are no worker: they were taken for gone. */
  unknownOwners(): readonly string[] {
    const rows = this.#sql(
      `SELECT DISTINCT owner FROM ${deliveries} WHERE state = 'running' AND owner NOT IN (SELECT id FROM ${workers})`,
    ).all()
    return rows.map(({ owner }) => text(owner))
  }

  /** Removes a worker that runs nothing. */
  forgetWorker(owner: string): void {
    this.#sql(
      `DELETE FROM ${workers} WHERE id = ? AND NOT EXISTS (SELECT 1 FROM ${deliveries} WHERE state = 'running' AND owner = ?)`,
    ).run(owner, owner)
  }
}
