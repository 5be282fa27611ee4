import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { Holder } from '../holders.js'
import type { People } from '../identity.js'
import type { DeliveryState, Outcome } from '../ledger.js'
import { keyOf, type ClaimRecord, type Delivery } from '../records.js'
import type { Counts, DailyCount, DeliveryCounts, DeliverySelection, Settled, StoredDelivery } from '../store.js'
import {
  callbackCell,
  changedDeliveries,
  deliveryCells,
  deliveryColumns,
  claimCells,
  claimColumns,
  text,
  toDailyCount,
  toDelivery,
  toPlace,
  toRecord,
  type Row,
} from './rows.js'
import { rivalsFor } from './claim-search.js'
import type { SqliteClock } from './sqlite-clock.js'
import { assignChanged, assignExcluded, conditions, inTime, insertInto, preparing } from './sqlite-sql.js'

const claims = 'conversion_webhook_claims'
const deliveries = 'conversion_webhook_deliveries'
const counters = 'conversion_webhook_counters'

/** Two that do not contradict are one too many. */
const enough = 2

/** The other rows only say who has an order that nobody has claimed by its own id. */
const isClaim = 'status IS NOT NULL'

/** The condition for a state, as the partial index on it spells it: SQLite compares the texts. */
const inState = (state: DeliveryState): string =>
  ['dead', 'withdrawn', 'refused'].includes(state)
    ? `state IN ('dead', 'withdrawn', 'refused') AND state = '${state}'`
    : `state = '${state}'`

const countedStates = ['waiting', 'running', 'dead', 'withdrawn', 'refused'] as const

/** As the index on what prune looks for spells it. */
const isKeptAtRest = `state IN ('done', 'withdrawn', 'refused') AND instr(callback, '"params":{}') = 0`

const waitsUnheld = `state = 'waiting' AND held_until IS NULL AND holds = 0`

const statements = {
  // The row may be there already, without a claim.
  insertClaim: `${insertInto(claims, claimColumns)} ON CONFLICT (id)
    DO UPDATE SET ${assignExcluded(claimColumns)} WHERE status IS NULL RETURNING number`,
  reserve: `INSERT INTO ${claims} (id, identity, holder) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET holder = excluded.holder`,
  removeDelivery: `DELETE FROM ${deliveries} WHERE claim = ? AND event_key = ?`,
  putDelivery: insertInto(deliveries, deliveryColumns).replace('INSERT', 'INSERT OR REPLACE'),
}

/** A delivery whose next attempt is so much later, where that is a retry: a date stays what it is, and `0` is at once. */
function shifted(delivery: Delivery, ms: number): Delivery {
  const { state, heldUntil, dueAt } = delivery
  return ms === 0 || state !== 'waiting' || heldUntil !== undefined || dueAt === 0
    ? delivery
    : { ...delivery, dueAt: dueAt + ms }
}

/** The statements of the SQLite store, and what their rows mean. */
export class SqliteRows {
  readonly #sql: (sql: string) => StatementSync
  readonly #clock: Pick<SqliteClock, 'lead'>
  /** The numbers of records that were read or written. */
  readonly #numbers = new WeakMap<ClaimRecord, number>()

  constructor(db: DatabaseSync, clock: Pick<SqliteClock, 'lead'>) {
    this.#sql = preparing(db)
    this.#clock = clock
  }

  record(id: string): ClaimRecord | undefined {
    const row = this.#sql(`SELECT * FROM ${claims} WHERE id = ? AND ${isClaim}`).get(id)
    return row && this.#recordOf(row)
  }

  records(after: string, limit: number): readonly ClaimRecord[] {
    // As they lie in the file, since in the order of their ids each would be a page of its own; the newest first, so that it ends.
    const start = `coalesce((SELECT number FROM ${claims} WHERE id = ?), 9e15)`
    const rows = this.#sql(
      `SELECT * FROM ${claims} WHERE number < ${start} AND ${isClaim} ORDER BY number DESC LIMIT ?`,
    ).all(after, limit)
    return inTime(rows, (row) => this.#recordOf(row))
  }

  /** See `Store.settled`. */
  settled(before: number, after: Settled | undefined, limit: number) {
    const { at, number } = after ?? { at: Number.MIN_SAFE_INTEGER, number: 0 }
    const rows = this.#sql(
      `SELECT number, claim, settled_at FROM ${deliveries} WHERE ${isKeptAtRest} AND settled_at < ?
       AND (settled_at, number) > (?, ?) ORDER BY settled_at, number LIMIT ?`,
    ).all(before, at, number, limit)
    const seen = new Set<unknown>()
    const found = inTime(rows, ({ claim }) => {
      const head = seen.has(claim)
        ? undefined
        : this.#sql(`SELECT * FROM ${claims} WHERE number = ?`).get(Number(claim))
      seen.add(claim)
      return head && this.#recordOf(head)
    })
    const last = rows[found.length - 1]
    return {
      records: found.filter((record) => record !== undefined),
      ...(last && { last: { at: Number(last.settled_at), number: Number(last.number) } }),
    }
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
    const { sql, values } = rivalsFor(claims, identity, people, agreeing, using)
    return this.#sql(sql)
      .all(...values)
      .map(({ id }) => text(id))
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

  #recordOf(row: Row): ClaimRecord {
    const number = Number(row.number)
    const rows = this.#sql(`SELECT * FROM ${deliveries} WHERE claim = ? ORDER BY sequence`).all(number)
    const record = toRecord(
      row,
      rows.map((each) => this.#deliveryOf(each)),
    )
    this.#numbers.set(record, number)
    return record
  }

  #deliveryOf(row: Row): Delivery {
    return shifted(toDelivery(row), -this.#clock.lead)
  }

  #toKeep(delivery: Delivery): Delivery {
    return shifted(delivery, this.#clock.lead)
  }

  writeRecord(before: ClaimRecord | undefined, after: ClaimRecord): void {
    const number = this.#writeClaim(before, after)
    this.#numbers.set(after, number)
    const { changed, gone } = changedDeliveries(before, after)
    for (const key of gone) this.#sql(statements.removeDelivery).run(number, key)
    for (const delivery of changed) {
      const cells = deliveryCells(number, this.#toKeep(delivery))
      const known = before?.deliveries.find(
        ({ callback, event, reversal }) =>
          callback === delivery.callback && event === delivery.event && reversal === delivery.reversal,
      )
      if (known === undefined) {
        this.#sql(statements.putDelivery).run(...cells, callbackCell(delivery))
      } else {
        const { sql, values } = assignChanged(deliveryColumns, deliveryCells(number, this.#toKeep(known)), cells)
        if (sql !== '') {
          const update = this.#sql(`UPDATE ${deliveries} SET ${sql} WHERE claim = ? AND event_key = ?`)
          update.run(...values, number, keyOf(delivery))
        }
      }
    }
  }

  /** The number of the claim. */
  #writeClaim(before: ClaimRecord | undefined, after: ClaimRecord): number {
    const cells = claimCells(after)
    const number = before && this.#numbers.get(before)
    if (before === undefined || number === undefined) {
      const row = this.#sql(statements.insertClaim).get(...cells)
      if (row === undefined) throw new Error('A claim with this id is recorded already.')
      return Number(row.number)
    }
    const { sql, values } = assignChanged(claimColumns, claimCells(before), cells)
    if (sql !== '') this.#sql(`UPDATE ${claims} SET ${sql} WHERE number = ?`).run(...values, number)
    return number
  }

  deliveries({ state, scope, orderId, email, before, limit }: DeliverySelection): readonly StoredDelivery[] {
    const id = `c.id || ':' || d.event_key`
    const where = conditions([
      [state, state === undefined ? '' : inState(state)],
      [scope, 'c.scope = ?', scope],
      [orderId, 'c.order_id = ?', orderId],
      [email, '(c.referrer_email = ? OR c.referee_email = ?)', email, email],
      [
        before,
        `d.received_at <= ? AND (d.received_at < ? OR ${id} < ?)`,
        before?.receivedAt,
        before?.receivedAt,
        before?.id,
      ],
    ])
    // A person's few rows are found by who it is, everything else in the order of time.
    const from =
      orderId === undefined && email === undefined
        ? `${deliveries} d CROSS JOIN ${claims} c ON c.number = d.claim`
        : `${claims} c CROSS JOIN ${deliveries} d ON d.claim = c.number`
    const rows = this.#sql(
      `SELECT d.*, c.id, c.identity, c.reserved_order, c.scope FROM ${from} ${where.sql} ORDER BY d.received_at DESC, ${id} DESC LIMIT ?`,
    ).all(...where.values, limit)
    return rows.map((row) => ({
      claim: text(row.id),
      ...toPlace(row),
      delivery: this.#deliveryOf(row),
    }))
  }

  count(outcome: Outcome, count: number): void {
    this.#sql(
      `INSERT INTO ${counters} (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value`,
    ).run(outcome, count)
  }

  callbackCounts(): Counts<Outcome> {
    const rows = this.#sql(`SELECT name, value FROM ${counters}`).all()
    const counts = { accepted: 0, duplicate: 0, stale: 0, conflict: 0, refused: 0 }
    return { ...counts, ...Object.fromEntries(rows.map(({ name, value }) => [text(name), Number(value)])) }
  }

  deliveryCounts(): DeliveryCounts {
    // One statement sees one state of the file: between two, other processes write.
    const count = (where: string): string => `(SELECT count(*) FROM ${deliveries} ${where})`
    const inEach = (state: DeliveryState): string => `${count(`WHERE ${inState(state)}`)} AS ${state}`
    const row = this.#sql(
      `SELECT ${count('')} AS total, ${count(`WHERE ${waitsUnheld}`)} AS unheld, ${countedStates.map(inEach).join(', ')}`,
    ).get()
    const of = (name: string): number => Number(row?.[name])
    const waiting = of('unheld')
    const others = {
      waiting,
      held: of('waiting') - waiting,
      running: of('running'),
      dead: of('dead'),
      withdrawn: of('withdrawn'),
      refused: of('refused'),
    }
    // What is done is most of it, and in no index of its own.
    return { ...others, done: of('total') - Object.values(others).reduce((sum, each) => sum + each, 0) }
  }

  oldestWaitingAt(): number | undefined {
    // The + keeps SQLite from walking through the index of all times in search of one that waits.
    const row = this.#sql(`SELECT min(+received_at) AS oldest FROM ${deliveries} WHERE ${waitsUnheld}`).get()
    return row?.oldest === null ? undefined : Number(row?.oldest)
  }

  dailyCounts(since: number): readonly DailyCount[] {
    const rows = this.#sql(
      `SELECT received_at / 86400000 AS day, event_key, count(*) AS count FROM ${deliveries}
       WHERE received_at >= ? GROUP BY day, event_key`,
    ).all(since)
    return rows.map(toDailyCount)
  }
}
