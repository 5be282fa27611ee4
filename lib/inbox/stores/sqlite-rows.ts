import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { hashOfPeople } from '../claims.js'
import { losesText } from '../operators/mentions.js'
import { inOneTurn } from '../../util/short-turns.js'
import { keyOf, type ClaimRecord, type Delivery, type People } from '../records.js'
import { holdersOnce, type Holder, type HolderLookup } from '../reservation.js'
import type { Change, Found, Settled, Unread } from '../store.js'
import { namesOf } from './columns.js'
import {
  cellsOf,
  changedDeliveries,
  deliveryRow,
  idsOf,
  text,
  toDelivery,
  toListedRecord,
  toRecord,
  toSettled,
  writtenBefore,
  type Row,
} from './rows.js'
import { changingDeliveryColumns, claimColumns, deliveryColumns } from './tables.js'
import { rivalsFor } from './claim-search.js'
import { isKeptAtRest, waitsUnheld } from './delivery-ways.js'
import type { SqliteClock } from './sqlite-clock.js'
import { SqliteCounters } from './sqlite-counters.js'
import { withQuestionMarks } from './sql.js'
import { SqliteDeliveries } from './sqlite-deliveries.js'
import type { KeptClaims } from './sqlite-kept.js'
import { assign, assignChanged, insertInto, preparing, replaceIn } from './sqlite-sql.js'
import type { SqliteQuarantine } from './sqlite-quarantine.js'

const claims = 'conversion_webhook_claims'
const deliveries = 'conversion_webhook_deliveries'

/** With two claims that do not contradict, the callback is a conflict: a third need not be found. */
const enough = 2

/** The condition for a row with a claim. A row without one only says which claim has the order. */
const isClaim = 'status IS NOT NULL'

const statements = {
  // Without RETURNING, which takes longer than the row itself.
  insertClaim: `${insertInto(claims, namesOf(claimColumns))} ON CONFLICT (id) DO NOTHING`,
  fillClaim: `UPDATE ${claims} SET ${assign(namesOf(claimColumns))} WHERE id = ? AND status IS NULL RETURNING number`,
  reserve: `INSERT INTO ${claims} (id, identity, holder) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET holder = excluded.holder`,
  removeDelivery: `DELETE FROM ${deliveries} WHERE claim = ? AND event_key = ?`,
  putDelivery: replaceIn(deliveries, namesOf(deliveryColumns)),
}

/** Shifts the time of a retry. A date of `confirm` stays as it is, and so does `0`, which means at once. */
function shifted(delivery: Delivery, ms: number): Delivery {
  const { state, heldUntil, dueAt } = delivery
  return ms === 0 || state !== 'waiting' || heldUntil !== undefined || dueAt === 0
    ? delivery
    : { ...delivery, dueAt: dueAt + ms }
}

/** Reads and writes claims with their deliveries. */
export class SqliteRows {
  readonly counters: SqliteCounters
  readonly listing: SqliteDeliveries
  readonly #sql: (sql: string) => StatementSync
  readonly #clock: Pick<SqliteClock, 'lead'>
  /** The numbers of records that were read or written. */
  readonly #numbers = new WeakMap<ClaimRecord, number>()

  constructor(db: DatabaseSync, clock: Pick<SqliteClock, 'lead'>) {
    this.counters = new SqliteCounters(db)
    this.listing = new SqliteDeliveries(db, this.#deliveryOf)
    this.#sql = preparing(db)
    this.#clock = clock
  }

  record(id: string): ClaimRecord | undefined {
    const row = this.#sql(`SELECT * FROM ${claims} WHERE id = ? AND ${isClaim}`).get(id)
    return row && this.#recordOf(row)
  }

  records(after = '', limit: number) {
    // In the order of the file: in the order of ids each would be on a page of its own. The newest come first, so that the listing ends.
    const start = `coalesce((SELECT number FROM ${claims} WHERE id = ?), 9e15)`
    const query = `SELECT * FROM ${claims} WHERE number < ${start} AND ${isClaim} ORDER BY number DESC LIMIT ?`
    const rows = this.#sql(query).all(after, limit)
    const found = inOneTurn(rows, (row) => this.#listed(row))
    return { found, last: found.at(-1)?.id }
  }

  /** See `Store.settled`. */
  settled(before: number, after: Settled | undefined, limit: number) {
    const { at, number } = after ?? { at: Number.MIN_SAFE_INTEGER, number: 0 }
    const rows = this.#sql(
      `SELECT number, claim, settled_at FROM ${deliveries} WHERE ${isKeptAtRest} AND settled_at < ?
       AND (settled_at, number) > (?, ?) ORDER BY settled_at, number LIMIT ?`,
    ).all(before, at, number, limit)
    const seen = new Set<unknown>()
    const found = inOneTurn(rows, ({ claim }) => {
      if (seen.has(claim)) return undefined
      seen.add(claim)
      const head = this.#sql(`SELECT * FROM ${claims} WHERE number = ?`).get(Number(claim))
      return head && this.#listed(head)
    })
    const last = rows[found.length - 1]
    return { found: found.filter((record) => record !== undefined), last: last && toSettled(last) }
  }

  /** The oldest claims of an identity, the first one first. */
  claims(identity: string, limit: number): readonly ClaimRecord[] {
    const rows = this.#sql(
      `SELECT * FROM ${claims} WHERE id = ? AND ${isClaim} UNION ALL
       SELECT * FROM (SELECT * FROM ${claims} INDEXED BY conversion_webhook_rivals_by_age
         WHERE id <> identity AND identity = ? ORDER BY number LIMIT ?) LIMIT ?`,
    ).all(identity, identity, limit, limit)
    return rows.map((row) => this.#recordOf(row))
  }

  /** The ids of the rivals that a callback may belong to, besides the first claim and the one that has the order. */
  rivals(identity: string, people: People, agreeing = enough): readonly string[] {
    const using = (index: string): string => `INDEXED BY conversion_webhook_rivals_by_${index}`
    const query = rivalsFor(claims, identity, people, agreeing, using)
    return idsOf(this.#sql(withQuestionMarks(query)).all(...query.values))
  }

  holder(order: string): Holder | undefined {
    const row = this.#sql(
      `SELECT c.id, EXISTS (SELECT 1 FROM ${deliveries} d WHERE d.claim = c.number AND d.state = 'running') AS is_running
       FROM ${claims} o CROSS JOIN ${claims} c ON c.number = o.holder WHERE o.id = ?`,
    ).get(order)
    return row && { claim: text(row.id), isRunning: Number(row.is_running) === 1 }
  }

  /** Gives an order to a claim that was written. */
  reserve(order: string, claim: ClaimRecord): void {
    const number = this.#numbers.get(claim)
    if (number === undefined) throw new Error('A claim that is not recorded can have no order.')
    this.#sql(statements.reserve).run(order, order, number)
  }

  #listed(row: Row): ClaimRecord | Unread {
    return toListedRecord(text(row.id), () => this.#recordOf(row))
  }

  #recordOf(row: Row): ClaimRecord {
    const number = Number(row.number)
    const rows = this.#sql(`SELECT * FROM ${deliveries} WHERE claim = ? ORDER BY sequence`).all(number)
    const record = toRecord(row, rows.map(this.#deliveryOf))
    this.#numbers.set(record, number)
    return record
  }

  readonly #deliveryOf = (row: Row): Delivery => shifted(toDelivery(row), -this.#clock.lead)

  writeRecord(before: ClaimRecord | undefined, after: ClaimRecord): void {
    const number = this.#writeClaim(before, after)
    this.#numbers.set(after, number)
    if (before && losesText(before, after)) this.counters.addRemoval()
    const { changed, gone } = changedDeliveries(before, after)
    for (const key of gone) this.#sql(statements.removeDelivery).run(number, key)
    for (const delivery of changed) {
      const source = deliveryRow(number, shifted(delivery, this.#clock.lead), after)
      const known = writtenBefore(before, delivery)
      if (known === undefined) {
        this.#sql(statements.putDelivery).run(...cellsOf(deliveryColumns, source))
        continue
      }
      const old = deliveryRow(number, shifted(known, this.#clock.lead), before ?? after)
      const { sql, values } = assignChanged(changingDeliveryColumns, old, source)
      if (sql === '') continue
      const update = this.#sql(`UPDATE ${deliveries} SET ${sql} WHERE claim = ? AND event_key = ?`)
      update.run(...values, number, keyOf(delivery))
    }
  }

  /** The number of the claim. */
  #writeClaim(before: ClaimRecord | undefined, after: ClaimRecord): number {
    const number = before && this.#numbers.get(before)
    if (before === undefined || number === undefined) {
      const cells = cellsOf(claimColumns, after)
      const { changes, lastInsertRowid } = this.#sql(statements.insertClaim).run(...cells)
      if (changes > 0) return Number(lastInsertRowid)
      // A row without a claim exists already.
      const row = this.#sql(statements.fillClaim).get(...cells, after.id)
      if (row === undefined) throw new Error('A claim with this id is recorded already.')
      return Number(row.number)
    }
    const { sql, values } = assignChanged(claimColumns, before, after)
    if (sql !== '') this.#sql(`UPDATE ${claims} SET ${sql} WHERE number = ?`).run(...values, number)
    return number
  }

  oldestWaitingAt(): number | undefined {
    const row = this.#sql(
      `SELECT min(received_at) AS oldest FROM ${deliveries} INDEXED BY conversion_webhook_waiting_unheld WHERE ${waitsUnheld}`,
    ).get()
    return row?.oldest === null ? undefined : Number(row?.oldest)
  }
}

/** What one transaction reads: each claim once, if it is not kept, then as the earlier changes of the transaction left it. */
export class SqliteFound {
  readonly #rows: SqliteRows
  readonly #quarantine: SqliteQuarantine
  readonly #kept: KeptClaims
  readonly #records = new Map<string, ClaimRecord | undefined>()

  constructor(rows: SqliteRows, quarantine: SqliteQuarantine, kept: KeptClaims) {
    this.#rows = rows
    this.#quarantine = quarantine
    this.#kept = kept
  }

  /** All claims that were read or written, as they are now. */
  get records(): Iterable<ClaimRecord | undefined> {
    return this.#records.values()
  }

  find(change: Change<unknown>): Found {
    const { claim, callback, quarantined: id } = change
    const record = claim === undefined ? undefined : this.record(claim)
    const quarantined = id === undefined ? undefined : this.#quarantine.find(id)
    const holders = holdersOnce((order) => this.#rows.holder(order))
    const claims = callback ? this.#claims(callback, holders) : []
    return { claims, holders, ...(record && { record }), ...(quarantined && { quarantined }) }
  }

  record(id: string): ClaimRecord | undefined {
    if (!this.#records.has(id)) this.#records.set(id, this.#kept.find(id) ?? this.#rows.record(id))
    return this.#records.get(id)
  }

  /** Remembers a claim as a change left it. */
  put(record: ClaimRecord): void {
    this.#records.set(record.id, record)
  }

  /** Most callbacks are new, or of the people of the first claim: then only the claim that has the order is needed besides. */
  #claims({ identity, people }: NonNullable<Change<unknown>['callback']>, holders: HolderLookup) {
    const first = this.record(identity)
    if (first === undefined) return []
    const rivals = first.peopleHash === hashOfPeople(identity, people) ? [] : this.#rows.rivals(identity, people)
    const ids = new Set([...rivals, holders.get(identity)?.claim ?? identity])
    ids.delete(identity)
    const others = [...ids].map((id) => this.record(id)).filter((record) => record !== undefined)
    return [first, ...others.filter((record) => record.identity === identity)]
  }
}
