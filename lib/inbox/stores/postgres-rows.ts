import type { Outcome } from '../ledger.js'
import type { Delivery, IdentityRecord } from '../records.js'
import type { Counts, DailyCount, DeliveryCounts, DeliverySelection, StoredDelivery } from '../store.js'
import type { Queryable } from './postgres-client.js'
import { columnsOf, Conditions, lockKey } from './postgres-sql.js'
import {
  callbackCell,
  changedDeliveries,
  deliveryCells,
  deliveryColumns,
  identityCells,
  identityColumns,
  text,
  toDailyCount,
  toDelivery,
  toRecord,
  type Cell,
  type Row,
} from './rows.js'

export interface Written {
  readonly before: IdentityRecord | undefined
  readonly after: IdentityRecord
}

const unheld = 'held_until IS NULL AND holds = 0'

/** The statements of the PostgreSQL store, and what their rows mean. */
export class PostgresRows {
  readonly #schema: string

  constructor(schema: string) {
    this.#schema = schema
  }

  /** Locks identities and refused callbacks, in an order that all processes keep, whether they are recorded already or not. */
  async lock(client: Queryable, ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return
    const keys = ids.map(lockKey)
    await client.query(
      'SELECT pg_advisory_xact_lock(key) FROM (SELECT DISTINCT key FROM unnest($1::bigint[]) AS key ORDER BY key) AS keys',
      [keys],
    )
  }

  async records(client: Queryable, ids: readonly string[]): Promise<Map<string, IdentityRecord>> {
    if (ids.length === 0) return new Map()
    const { rows } = await client.query(`SELECT * FROM ${this.#schema}.identities WHERE id = ANY($1)`, [ids])
    return this.#withDeliveries(client, rows)
  }

  async recordsAfter(client: Queryable, after: string, limit: number): Promise<readonly IdentityRecord[]> {
    const { rows } = await client.query(
      `SELECT * FROM ${this.#schema}.identities WHERE id COLLATE "C" > $1 ORDER BY id COLLATE "C" LIMIT $2`,
      [after, limit],
    )
    return [...(await this.#withDeliveries(client, rows)).values()]
  }

  /** Most callbacks are about something new: then there is nothing to ask for. */
  async #withDeliveries(client: Queryable, rows: readonly Row[]): Promise<Map<string, IdentityRecord>> {
    if (rows.length === 0) return new Map()
    const deliveries = await client.query(
      `SELECT * FROM ${this.#schema}.deliveries WHERE identity = ANY($1) ORDER BY sequence`,
      [rows.map(({ id }) => text(id))],
    )
    return recordsOf(rows, deliveries.rows)
  }

  /** Writes what changed, all records in one statement a table. */
  async write(client: Queryable, changes: readonly Written[]): Promise<void> {
    const identities: Cell[][] = []
    const states: Cell[][] = []
    const wholes: Cell[][] = []
    const gone: [string, string][] = []
    for (const { before, after } of changes) {
      const cells = identityCells(after)
      const old = before && identityCells(before)
      if (old === undefined || cells.some((cell, index) => cell !== old[index])) identities.push(cells)
      const changed = changedDeliveries(before, after)
      for (const key of changed.gone) gone.push([after.id, key])
      for (const delivery of changed.changed) {
        const row = deliveryCells(after.id, delivery)
        const isKnown = before?.deliveries.some(
          (known) =>
            known.callback === delivery.callback &&
            known.event === delivery.event &&
            known.reversal === delivery.reversal,
        )
        if (isKnown === true) states.push(row)
        else wholes.push([...row, callbackCell(delivery)])
      }
    }
    await this.#upsert(client, 'identities', ['id'], identityColumns, identities)
    for (const [identity, key] of gone) {
      await client.query(`DELETE FROM ${this.#schema}.deliveries WHERE identity = $1 AND event_key = $2`, [
        identity,
        key,
      ])
    }
    await this.#upsert(client, 'deliveries', ['identity', 'event_key'], deliveryColumns, wholes)
    if (states.length === 0) return
    const columns = deliveryColumns.slice(0, -1)
    const { arrays, values } = columnsOf(columns, states)
    const assignments = columns.slice(2).map((column) => `${column} = v.${column}`)
    await client.query(
      `UPDATE ${this.#schema}.deliveries d SET ${assignments.join(', ')}
       FROM unnest(${arrays}) AS v (${columns.join(', ')})
       WHERE d.identity = v.identity AND d.event_key = v.event_key`,
      values,
    )
  }

  async #upsert(
    client: Queryable,
    table: string,
    keys: readonly string[],
    columns: readonly string[],
    rows: readonly (readonly Cell[])[],
  ): Promise<void> {
    if (rows.length === 0) return
    const { arrays, values } = columnsOf(columns, rows)
    const assignments = columns
      .filter((column) => !keys.includes(column))
      .map((column) => `${column} = excluded.${column}`)
    await client.query(
      `INSERT INTO ${this.#schema}.${table} (${columns.join(', ')}) SELECT * FROM unnest(${arrays})
       ON CONFLICT (${keys.join(', ')}) DO UPDATE SET ${assignments.join(', ')}`,
      values,
    )
  }

  async deliveries(
    client: Queryable,
    { state, scope, orderId, email, before, limit }: DeliverySelection,
  ): Promise<readonly StoredDelivery[]> {
    const id = `(d.identity || ':' || d.event_key) COLLATE "C"`
    const where = new Conditions()
      .add('d.state = ?', state)
      .add('i.scope = ?', scope)
      .add('i.order_id = ?', orderId)
      .add('(i.referrer_email = ? OR i.referee_email = ?)', email, email)
      .add(
        `(d.received_at < ? OR (d.received_at = ? AND ${id} < ?))`,
        before?.receivedAt,
        before?.receivedAt,
        before?.id,
      )
    const { rows } = await client.query(
      `SELECT d.*, i.scope FROM ${this.#schema}.deliveries d JOIN ${this.#schema}.identities i ON i.id = d.identity
       ${where.sql} ORDER BY d.received_at DESC, ${id} DESC LIMIT ${String(limit)}`,
      where.values,
    )
    return rows.map((row) => ({ identity: text(row.identity), scope: text(row.scope), delivery: toDelivery(row) }))
  }

  /** Counters have several rows each, so that processes seldom wait for one another. */
  async count(client: Queryable, counted: ReadonlyMap<Outcome, number>, slot: number): Promise<void> {
    if (counted.size === 0) return
    const names = [...counted.keys()].sort()
    await client.query(
      `INSERT INTO ${this.#schema}.counters AS c (name, slot, value) SELECT name, $3, value FROM unnest($1::text[], $2::bigint[]) AS v (name, value)
       ON CONFLICT (name, slot) DO UPDATE SET value = c.value + excluded.value`,
      [names, names.map((name) => counted.get(name)), slot],
    )
  }

  async callbackCounts(client: Queryable): Promise<Counts<Outcome>> {
    const { rows } = await client.query(`SELECT name, sum(value) AS value FROM ${this.#schema}.counters GROUP BY name`)
    const none = { accepted: 0, duplicate: 0, stale: 0, conflict: 0, refused: 0 }
    return { ...none, ...Object.fromEntries(rows.map(({ name, value }) => [text(name), Number(value)])) }
  }

  async deliveryCounts(client: Queryable): Promise<DeliveryCounts> {
    const { rows } = await client.query(
      `SELECT CASE WHEN state = 'waiting' AND NOT (${unheld}) THEN 'held' ELSE state END AS state, count(*) AS count
       FROM ${this.#schema}.deliveries GROUP BY 1`,
    )
    const none = { waiting: 0, held: 0, running: 0, done: 0, dead: 0, withdrawn: 0, refused: 0 }
    return { ...none, ...Object.fromEntries(rows.map(({ state, count }) => [text(state), Number(count)])) }
  }

  async oldestWaitingAt(client: Queryable): Promise<number | undefined> {
    const { rows } = await client.query(
      `SELECT min(received_at + 0) AS oldest FROM ${this.#schema}.deliveries WHERE state = 'waiting' AND ${unheld}`,
    )
    const oldest = rows[0]?.oldest
    return oldest === null || oldest === undefined ? undefined : Number(oldest)
  }

  async dailyCounts(client: Queryable, since: number): Promise<readonly DailyCount[]> {
    const { rows } = await client.query(
      `SELECT received_at / 86400000 AS day, event_key, count(*) AS count FROM ${this.#schema}.deliveries
       WHERE received_at >= $1 GROUP BY day, event_key`,
      [since],
    )
    return rows.map(toDailyCount)
  }
}

function recordsOf(identities: readonly Row[], deliveries: readonly Row[]): Map<string, IdentityRecord> {
  const byIdentity = new Map<string, Delivery[]>()
  for (const row of deliveries) {
    const identity = text(row.identity)
    const siblings = byIdentity.get(identity) ?? []
    byIdentity.set(identity, [...siblings, toDelivery(row)])
  }
  return new Map(
    identities.map((row) => {
      const id = text(row.id)
      return [id, toRecord(row, byIdentity.get(id) ?? [])]
    }),
  )
}
