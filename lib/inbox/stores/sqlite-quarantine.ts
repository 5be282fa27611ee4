import type { DatabaseSync, StatementSync } from 'node:sqlite'
import {
  givingWay,
  isTooOld,
  keptWith,
  maxConflicts,
  maxGivingWay,
  quarantineKinds,
  QuarantineWatch,
  type QuarantinedCallback,
  type QuarantineKind,
  type Size,
} from '../quarantine.js'
import type { QuarantineSelection } from '../store.js'
import {
  changingColumns,
  quarantineCells,
  quarantineColumns,
  text,
  toCandidate,
  toQuarantined,
  toSize,
} from './rows.js'
import { assign, conditions, insertInto, preparing } from './sqlite-sql.js'

const quarantine = 'conversion_webhook_quarantine'
/** Replaces a row of the same content that is too old. */
const insert = insertInto(quarantine, quarantineColumns).replace('INSERT', 'INSERT OR REPLACE')
const update = `UPDATE ${quarantine} SET ${assign(changingColumns)} WHERE id = ?`
const lasting = quarantineColumns.length - changingColumns.length
const bytesAt = quarantineColumns.indexOf('bytes')

/** The quarantine of the SQLite store. */
export class SqliteQuarantine {
  readonly budget: Size
  readonly #watch: QuarantineWatch
  readonly #sql: (sql: string) => StatementSync

  constructor(db: DatabaseSync, budget: Size) {
    this.budget = budget
    this.#watch = new QuarantineWatch(budget)
    this.#sql = preparing(db)
  }

  find(id: string): QuarantinedCallback | undefined {
    const row = this.#sql(`SELECT * FROM ${quarantine} WHERE id = ?`).get(id)
    const found = row && toQuarantined(row)
    return found && isTooOld(found, Date.now()) ? undefined : found
  }

  /** Keeps a callback, or counts it. */
  keep(callback: QuarantinedCallback): void {
    const kept = this.find(callback.id)
    this.write(kept, keptWith(kept, callback))
  }

  write(before: QuarantinedCallback | undefined, after: QuarantinedCallback): void {
    const cells = quarantineCells(after)
    if (before !== undefined) {
      this.#sql(update).run(...cells.slice(lasting), after.id)
      return
    }
    this.#sql(insert).run(...cells)
    this.#watch.spend(after.kind, Number(cells[bytesAt]))
  }

  /** Removes what is too old or too much, where it is time to look for that; in the transaction of what was added. */
  limit(now: number): void {
    for (const kind of quarantineKinds) if (this.#watch.isDue(kind)) this.#limit(kind, now)
  }

  /** The same once an hour, whatever was added. */
  limitHourly(now: number): void {
    if (this.#watch.isHourOver(performance.now())) for (const kind of quarantineKinds) this.#limit(kind, now)
  }

  #limit(kind: QuarantineKind, now: number): void {
    const { rows, bytes } = toSize(
      this.#sql(`SELECT count(*) AS rows, sum(bytes) AS bytes FROM ${quarantine} WHERE kind = ?`).get(kind),
    )
    const oldest = this.#sql(
      `SELECT number, received_at, bytes FROM ${quarantine} WHERE kind = ? AND state <> 'waiting' ORDER BY number LIMIT ?`,
    ).all(kind, maxGivingWay)
    const { numbers, size } = givingWay({ rows, bytes }, oldest.map(toCandidate), this.budget, now)
    // In one statement: the hourly look has no transaction around it, and each row would be a commit of its own.
    const remove = `DELETE FROM ${quarantine} WHERE number IN (SELECT value FROM json_each(?))`
    if (numbers.length > 0) this.#sql(remove).run(JSON.stringify(numbers))
    this.#watch.looked(kind, size)
  }

  conflicts(identity: string): readonly QuarantinedCallback[] {
    const rows = this.#sql(`SELECT * FROM ${quarantine} WHERE identity = ? ORDER BY number DESC LIMIT ?`)
    return rows.all(identity, maxConflicts).map(toQuarantined).reverse()
  }

  list({ state, scope, before, limit }: QuarantineSelection): readonly QuarantinedCallback[] {
    const where = conditions([
      [state, 'state = ?', state],
      [scope, 'scope = ?', scope],
      [before, 'received_at <= ? AND (received_at < ? OR id < ?)', before?.receivedAt, before?.receivedAt, before?.id],
    ])
    const rows = this.#sql(`SELECT * FROM ${quarantine} ${where.sql} ORDER BY received_at DESC, id DESC LIMIT ?`)
    return rows.all(...where.values, limit).map(toQuarantined)
  }

  drop(id: string): boolean {
    return this.#sql(`DELETE FROM ${quarantine} WHERE id = ? AND state <> 'waiting'`).run(id).changes > 0
  }

  waiting(limit: number): readonly string[] {
    const rows = this.#sql(`SELECT id FROM ${quarantine} WHERE state = 'waiting' LIMIT ?`).all(limit)
    return rows.map(({ id }) => text(id))
  }

  waitingSize(): Size {
    return toSize(
      this.#sql(`SELECT count(*) AS rows, sum(bytes) AS bytes FROM ${quarantine} WHERE state = 'waiting'`).get(),
    )
  }
}
