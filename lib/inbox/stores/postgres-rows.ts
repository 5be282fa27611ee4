import type { ClaimRecord, People } from '../records.js'
import type { DeliverySelection, Settled, StoredDelivery, Listed } from '../store.js'
import { rivalsFor } from './claim-search.js'
import { isKeptAtRest, waitsUnheld } from './delivery-ways.js'
import type { Queryable } from './postgres-client.js'
import { PostgresCounters } from './postgres-counters.js'
import { newestDeliveries, arraysOf, lockKey, lockKeySql } from './postgres-sql.js'
import { namesOf, type Column } from './columns.js'
import {
  cellOf,
  changedDeliveries,
  deliveryRow,
  idsOf,
  optional,
  text,
  toDelivery,
  toListedDelivery,
  toListedRecord,
  toRecord,
  toSettled,
  toTime,
  writtenBefore,
  type Row,
} from './rows.js'
import { changingDeliveryColumns, claimColumns, deliveryColumns, type DeliveryRow } from './tables.js'
import { assignExcluded, withNumbers } from './sql.js'
import type { Holders } from '../reservation.js'

export interface Written {
  readonly before: ClaimRecord | undefined
  readonly after: ClaimRecord
}

/** Rows that are written with all their columns. */
interface WholeRows {
  readonly claims: ClaimRecord[]
  readonly deliveries: DeliveryRow[]
}

/** Reads and writes claims with their deliveries. */
export class PostgresRows {
  readonly counters: PostgresCounters
  readonly #schema: string

  constructor(schema: string) {
    this.#schema = schema
    this.counters = new PostgresCounters(schema)
  }

  /**
   * Locks identities (also given by the id of a claim) and refused callbacks, recorded or not, and the orders that are reserved for some claims,
   * in the same order in all processes. An order that is reserved for one of the claims while this waits needs no lock: the attempt that
   * reserves it runs then, so that no delivery of the claim is claimed.
   */
  async lock(client: Queryable, ids: readonly string[], claims: readonly string[]): Promise<void> {
    if (ids.length === 0) return
    const keys = ids.map(lockKey)
    const ofClaims = `UNION SELECT ${lockKeySql('reserved_order')} FROM ${this.#schema}.claims WHERE id = ANY($2) AND reserved_order IS NOT NULL`
    await client.query(
      `SELECT pg_advisory_xact_lock(key) FROM (
         SELECT unnest($1::bigint[]) AS key ${claims.length > 0 ? ofClaims : ''}
         ORDER BY key
       ) AS keys`,
      claims.length > 0 ? [keys, claims] : [keys],
    )
  }

  /** Claims with their deliveries, in the order of the ids. */
  async records(client: Queryable, ids: readonly string[]): Promise<Map<string, ClaimRecord>> {
    return new Map((await this.#readers(client, ids)).map(([id, read]) => [id, read()]))
  }

  async #readers(client: Queryable, ids: readonly string[]): Promise<readonly Reader[]> {
    if (ids.length === 0) return []
    // Columns of the claim come last, so that they win over those of the delivery with the same name.
    const joined = `SELECT d.*, c.* FROM ${this.#schema}.claims c LEFT JOIN ${this.#schema}.deliveries d ON d.claim = c.id WHERE c.id = key`
    const { rows } = await client.query(`${eachOf(joined, '$1::text[]')} ORDER BY sequence`, [[...new Set(ids)]])
    return readersOf(ids, rows)
  }

  async recordsAfter(client: Queryable, after = '', limit: number) {
    const { rows } = await client.query(
      `SELECT d.*, c.* FROM (SELECT * FROM ${this.#schema}.claims WHERE id > $1 ORDER BY id LIMIT $2) AS c
       LEFT JOIN LATERAL (SELECT * FROM ${this.#schema}.deliveries WHERE claim = c.id OFFSET 0) AS d ON true ORDER BY id, sequence`,
      [after, limit],
    )
    const ids = idsOf(rows)
    return { found: readersOf(ids, rows).map((reader) => toListedRecord(...reader)), last: ids.at(-1) }
  }

  async settled(client: Queryable, before: number, after: Settled | undefined, limit: number) {
    const { at, number } = after ?? { at: Number.MIN_SAFE_INTEGER, number: 0 }
    const { rows } = await client.query(
      `SELECT number, claim, settled_at FROM ${this.#schema}.deliveries WHERE ${isKeptAtRest} AND settled_at < $1
       AND (settled_at, number) > ($2, $3) ORDER BY settled_at, number LIMIT $4`,
      [whole(before), at, number, limit],
    )
    const ids = rows.map(({ claim }) => text(claim))
    const last = rows.at(-1)
    const found = (await this.#readers(client, ids)).map((reader) => toListedRecord(...reader))
    return { found, last: last && toSettled(last) }
  }

  /** The oldest claims of an identity, the first one first. */
  async claims(client: Queryable, identity: string, limit: number): Promise<readonly ClaimRecord[]> {
    const { rows } = await client.query(
      `(SELECT id FROM ${this.#schema}.claims WHERE id = $1)
       UNION ALL (SELECT id FROM ${this.#schema}.claims WHERE id <> identity AND identity = $1 ORDER BY number LIMIT $2) LIMIT $2`,
      [identity, limit],
    )
    return [...(await this.records(client, idsOf(rows))).values()]
  }

  /** The ids of the rivals that a callback may belong to, besides the first claim and the one that has the order. */
  async rivals(client: Queryable, identity: string, people: People, agreeing: number): Promise<readonly string[]> {
    const query = rivalsFor(`${this.#schema}.claims`, identity, people, agreeing)
    const { rows } = await client.query(withNumbers(query), [...query.values])
    return idsOf(rows)
  }

  /** Which claims have these orders. */
  async holders(client: Queryable, orders: readonly string[]): Promise<Holders> {
    if (orders.length === 0) return new Map()
    const reserved = eachOf(`SELECT * FROM ${this.#schema}.reservations WHERE order_key = key`, '$1::text[]')
    const { rows } = await client.query(
      `SELECT order_key, claim, (SELECT bool_or(state = 'running') FROM ${this.#schema}.deliveries d WHERE d.claim = r.claim) AS is_running
       FROM (${reserved}) AS r`,
      [[...new Set(orders)]],
    )
    return new Map(
      rows.map((row) => [text(row.order_key), { claim: text(row.claim), isRunning: row.is_running === true }]),
    )
  }

  async reserve(client: Queryable, reserved: ReadonlyMap<string, string>): Promise<void> {
    if (reserved.size === 0) return
    await client.query(
      `INSERT INTO ${this.#schema}.reservations (order_key, claim) SELECT * FROM unnest($1::text[], $2::text[])
       ON CONFLICT (order_key) DO UPDATE SET claim = excluded.claim`,
      [[...reserved.keys()], [...reserved.values()]],
    )
  }

  /** Writes changed records. No row of a new claim takes the place of another: that would be a delivery whose claim somebody has removed. */
  async write(client: Queryable, changes: readonly Written[]): Promise<void> {
    const fresh: WholeRows = { claims: [], deliveries: [] }
    const known: WholeRows = { claims: [], deliveries: [] }
    const states: DeliveryRow[] = []
    const gone: [string, string][] = []
    for (const { before, after } of changes) {
      const { claims, deliveries } = before === undefined ? fresh : known
      if (before === undefined || claimColumns.some((column) => cellOf(column, after) !== cellOf(column, before)))
        claims.push(after)
      const changed = changedDeliveries(before, after)
      for (const key of changed.gone) gone.push([after.id, key])
      for (const delivery of changed.changed) {
        const source = deliveryRow(after.id, delivery, after)
        if (writtenBefore(before, delivery)) states.push(source)
        else deliveries.push(source)
      }
    }
    await Promise.all([
      this.#insert(client, 'claims', [], claimColumns, fresh.claims),
      this.#insert(client, 'claims', ['id'], claimColumns, known.claims),
      ...gone.map(([claim, key]) =>
        client.query(`DELETE FROM ${this.#schema}.deliveries WHERE claim = $1 AND event_key = $2`, [claim, key]),
      ),
      this.#insert(client, 'deliveries', [], deliveryColumns, fresh.deliveries),
      this.#insert(client, 'deliveries', ['claim', 'event_key'], deliveryColumns, known.deliveries),
      this.#update(client, states),
    ])
  }

  async #update(client: Queryable, states: readonly DeliveryRow[]): Promise<void> {
    if (states.length === 0) return
    const { used, arrays, values } = arraysOf(changingDeliveryColumns, states)
    const assignments = namesOf(changingDeliveryColumns)
      .slice(2)
      .map((column) => `${column} = ${used.includes(column) ? `v.${column}` : 'NULL'}`)
    await client.query(
      `UPDATE ${this.#schema}.deliveries d SET ${assignments.join(', ')}
       FROM unnest(${arrays}) AS v (${used.join(', ')})
       WHERE d.claim = v.claim AND d.event_key = v.event_key`,
      values,
    )
  }

  /** Inserts rows; overwrites those that are there by `keys`. Without keys it rejects if one is there. */
  async #insert<Source>(
    client: Queryable,
    table: string,
    keys: readonly string[],
    columns: readonly Column<Source>[],
    rows: readonly Source[],
  ): Promise<void> {
    if (rows.length === 0) return
    const { used, arrays, values } = arraysOf(columns, rows)
    const assigned = namesOf(columns).filter((column) => !keys.includes(column))
    const overwriting = `ON CONFLICT (${keys.join(', ')}) DO UPDATE SET ${assignExcluded(assigned)}`
    await client.query(
      `INSERT INTO ${this.#schema}.${table} (${used.join(', ')}) SELECT * FROM unnest(${arrays})
       ${keys.length > 0 ? overwriting : ''}`,
      values,
    )
  }

  async deliveries(client: Queryable, selection: DeliverySelection): Promise<readonly Listed<StoredDelivery>[]> {
    const found = newestDeliveries(`${this.#schema}.deliveries`, selection)
    if (found === undefined) return []
    const { rows } = await client.query(
      `SELECT d.*, c.identity, c.reserved_order FROM (${withNumbers(found)}) AS found
       JOIN ${this.#schema}.deliveries d ON d.claim = found.claim AND d.event_key = found.event_key
       JOIN ${this.#schema}.claims c ON c.id = found.claim ORDER BY found.received_at DESC, found.position DESC`,
      [...found.values],
    )
    return rows.map((row) => toListedDelivery(row, text(row.claim)))
  }

  async receivedAt(client: Queryable, id: string): Promise<number | undefined> {
    const colon = id.lastIndexOf(':')
    const { rows } = await client.query(
      `SELECT received_at FROM ${this.#schema}.deliveries WHERE claim = $1 AND event_key = $2
       UNION ALL SELECT received_at FROM ${this.#schema}.quarantine WHERE id = $3`,
      [id.slice(0, Math.max(colon, 0)), id.slice(colon + 1), id],
    )
    return rows[0] && toTime(rows[0].received_at)
  }

  async oldestWaitingAt(client: Queryable): Promise<number | undefined> {
    const { rows } = await client.query(
      `SELECT min(received_at) AS oldest FROM ${this.#schema}.deliveries WHERE ${waitsUnheld}`,
    )
    return optional(rows[0]?.oldest ?? null)
  }
}

/**
 * The rows that a query finds for each key of an array, one key after the other. A join would read the whole table, or the dead part of an index
 * that seems to be small, as long as PostgreSQL has no statistics of a table.
 */
function eachOf(query: string, keys: string): string {
  return `SELECT found.* FROM unnest(${keys}) AS keys (key) CROSS JOIN LATERAL (${query} OFFSET 0) AS found`
}

/** A time as a whole number that a bigint can hold, in the same order as before. */
function whole(time: number): number {
  return Math.ceil(Math.min(Math.max(time, Number.MIN_SAFE_INTEGER), Number.MAX_SAFE_INTEGER))
}

/** Reads one claim. Throws if a stored value cannot be read. */
type Reader = readonly [id: string, read: () => ClaimRecord]

/** Of rows of claims, one for each delivery, or one for a claim without any. */
function readersOf(ids: readonly string[], rows: readonly Row[]): readonly Reader[] {
  const byClaim = new Map<string, Row[]>(ids.map((id) => [id, []]))
  for (const row of rows) byClaim.get(text(row.id))?.push(row)
  return [...byClaim].flatMap(([id, ofClaim]): readonly Reader[] => {
    const [row] = ofClaim
    return row ? [[id, () => toRecord(row, row.claim === null ? [] : ofClaim.map(toDelivery))]] : []
  })
}
