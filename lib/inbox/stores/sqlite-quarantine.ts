import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { QuarantinedCallback, QuarantineKind, Size } from '../quarantine.js'
import {
  givingWay,
  isTooOld,
  maxConflicts,
  maxGivingWay,
  quarantineKinds,
  quarantineStates,
  QuarantineWatch,
  receivedAtOf,
} from '../quarantine.js'
import { searchForms, searchKey, searchKeys, soughtForms } from '../search.js'
import type { QuarantineSelection, Listed } from '../store.js'
import { all, everything, is, isOfScope, raw, sql } from './sql.js'
import { namesOf } from './columns.js'
import { cellsOf, idsOf, quarantineRow, toListedQuarantined, toOldRow, toQuarantined, toSize } from './rows.js'
import { changingQuarantineColumns, quarantineColumns } from './tables.js'
import { SqliteCounters } from './sqlite-counters.js'
import { inOrder, walk, type Walked, type Way } from './sqlite-newest.js'
import { assign, insertInto, preparing } from './sqlite-sql.js'

const quarantine = 'conversion_webhook_quarantine'
const keys = 'conversion_webhook_quarantine_keys'
const insert = insertInto(quarantine, namesOf(quarantineColumns))
const insertKeys = `INSERT INTO ${keys} (key, received_at, number) SELECT value, ?, ? FROM json_each(?)`
const update = `UPDATE ${quarantine} SET ${assign(namesOf(changingQuarantineColumns))} WHERE id = ?`

/** The quarantine of the SQLite store. */
export class SqliteQuarantine {
  readonly #budget: Size
  readonly #counters: SqliteCounters
  readonly #watch: QuarantineWatch
  readonly #sql: (sql: string) => StatementSync

  constructor(db: DatabaseSync, budget: Size) {
    this.#budget = budget
    this.#watch = new QuarantineWatch(budget)
    this.#counters = new SqliteCounters(db)
    this.#sql = preparing(db)
  }

  find(id: string): QuarantinedCallback | undefined {
    const row = this.#sql(`SELECT * FROM ${quarantine} WHERE id = ?`).get(id)
    const found = row && toQuarantined(row)
    return found && isTooOld(found, Date.now()) ? undefined : found
  }

  write(before: QuarantinedCallback | undefined, after: QuarantinedCallback): void {
    if (before !== undefined) {
      this.#sql(update).run(...cellsOf(changingQuarantineColumns, after), after.id)
      return
    }
    const forms = searchForms(after)
    const source = quarantineRow(after, forms)
    // Removes an old row with the same content. OR REPLACE would run no trigger, and leave the row's keys.
    this.#sql(`DELETE FROM ${quarantine} WHERE id = ?`).run(after.id)
    const { lastInsertRowid } = this.#sql(insert).run(...cellsOf(quarantineColumns, source))
    this.#sql(insertKeys).run(receivedAtOf(after), lastInsertRowid, `[${searchKeys(forms).join()}]`)
    this.#watch.spend(after.kind, source.bytes)
  }

  /** Removes old rows, and those beyond the budget, if a check is due; in the transaction that added rows. */
  limit(now: number): void {
    for (const kind of quarantineKinds) if (this.#watch.isDue(kind)) this.#limit(kind, now)
  }

  /** Does the same once an hour, even if nothing was added. */
  limitHourly(now: number): void {
    if (this.#watch.isHourOver(performance.now())) for (const kind of quarantineKinds) this.#limit(kind, now)
  }

  #limit(kind: QuarantineKind, now: number): void {
    const oldest = this.#sql(
      `SELECT number, received_at, bytes FROM ${quarantine} WHERE kind = ? AND state <> 'waiting' ORDER BY number LIMIT ?`,
    ).all(kind, maxGivingWay)
    const { numbers, size } = givingWay(this.#counters.quarantine(kind), oldest.map(toOldRow), this.#budget, now)
    // One statement, since the hourly check has no transaction: each row would be a commit of its own.
    const remove = `DELETE FROM ${quarantine} WHERE number IN (SELECT value FROM json_each(?))`
    if (numbers.length > 0) this.#sql(remove).run(JSON.stringify(numbers))
    this.#watch.looked(kind, size)
  }

  conflicts(identity: string): readonly QuarantinedCallback[] {
    const rows = this.#sql(`SELECT * FROM ${quarantine} WHERE identity = ? ORDER BY number DESC LIMIT ?`)
    return rows.all(identity, maxConflicts).map(toQuarantined).reverse()
  }

  /** See `Store.allQuarantined`. */
  all(after = Number.MAX_SAFE_INTEGER, limit: number) {
    const query = `SELECT * FROM ${quarantine} WHERE number < ? ORDER BY number DESC LIMIT ?`
    const rows = this.#sql(query).all(after, limit)
    const last = rows.at(-1)
    return { found: rows.map(toListedQuarantined), ...(last && { last: Number(last.number) }) }
  }

  /** Finds the rows of a listing, newest first. A search may take several walks. */
  walk(selection: QuarantineSelection, portion: number): Walked {
    const { state, scope, before, limit } = selection
    const [first, ...more] = soughtForms(selection).map(searchKey)
    const isInState = (each: string): Way => {
      const isInScope = isOfScope('t.scope', scope)
      const where = all([isInScope, is('t.state', each)]) ?? everything
      const index = `${quarantine}_by_${isInScope ? 'scope' : 'state'}`
      return { from: `${quarantine} t INDEXED BY ${index}`, time: 't.received_at', where }
    }
    if (first === undefined) {
      const ways = (state === undefined ? quarantineStates : [state]).map(isInState)
      return walk(this.#sql, { ways, id: 't.id', filter: undefined, before, limit, portion })
    }
    const isOfRow = raw('k.received_at = t.received_at AND k.number = t.number')
    const filter = all([
      is('t.state', state),
      isOfScope('t.scope', scope),
      ...more.map((key) => sql`EXISTS (SELECT 1 FROM ${raw(keys)} k WHERE k.key = ${key} AND ${isOfRow})`),
    ])
    const from = `${keys} k CROSS JOIN ${quarantine} t ON t.number = k.number`
    const ways = [{ from, time: 'k.received_at', where: sql`k.key = ${first}` }]
    return walk(this.#sql, { ways, id: 't.id', filter, before, limit, portion })
  }

  /** The rows of these numbers, in the same order. */
  rows(numbers: readonly number[]): readonly Listed<QuarantinedCallback>[] {
    const rows = this.#sql(`SELECT * FROM ${quarantine} WHERE number IN (SELECT value FROM json_each(?))`)
    return inOrder(numbers, rows.all(JSON.stringify(numbers))).map(toListedQuarantined)
  }

  drop(id: string): boolean {
    return this.#sql(`DELETE FROM ${quarantine} WHERE id = ? AND state <> 'waiting'`).run(id).changes > 0
  }

  waiting(limit: number): readonly string[] {
    return idsOf(this.#sql(`SELECT id FROM ${quarantine} WHERE state = 'waiting' LIMIT ?`).all(limit))
  }

  waitingSize(): Size {
    const query = `SELECT count(*) AS rows, sum(bytes) AS bytes FROM ${quarantine} WHERE state = 'waiting'`
    return toSize(this.#sql(query).get())
  }
}
