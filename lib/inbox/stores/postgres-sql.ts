import type { Column } from './columns.js'
import { cellOf } from './rows.js'
import { bitsOf } from '../../util/hash-of.js'
import type { DeliverySelection, Position } from '../store.js'
import { all, everything, joined, raw, sql, type Sql } from './sql.js'
import { deliveryWays } from './delivery-ways.js'

/**
 * Passes rows as one array parameter for each column, so that a statement is the same for one row and for five hundred. Columns without any
 * value, many in new deliveries, are left out; an INSERT makes them null.
 */
export function arraysOf<Source>(columns: readonly Column<Source>[], rows: readonly Source[]) {
  const used = columns
    .map((column) => ({ name: column.name, array: column.array, values: rows.map((row) => cellOf(column, row)) }))
    .filter(({ values }) => values.some((value) => value !== null))
  return {
    used: used.map(({ name }) => name),
    arrays: used.map(({ array }, index) => `$${String(index + 1)}::${array}[]`).join(', '),
    values: used.map(({ values }) => values),
  }
}

/** The key of an advisory lock for an id: 64 bits of its hash. Two ids with the same bits only wait for each other. */
export function lockKey(id: string): string {
  return String(bitsOf(/^(?:refused:)?([0-9a-f]{16})/.exec(id)?.[1] ?? '0'))
}

/** The key of an advisory lock for the identity in a column. */
export function lockKeySql(column: string): string {
  return `('x' || left(${column}, 16))::bit(64)::bigint`
}

/** A query for the newest rows of a table. */
export interface Newest {
  readonly table: string
  /** The columns of the primary key. */
  readonly key: string
  /** An expression for the id of a row, as ids are compared. */
  readonly id: string
  /** Conditions of which rows must fulfil one. An index answers each of them in the order of time. */
  readonly ways: readonly Sql[]
  /** A further condition. */
  readonly filter?: Sql | undefined
  readonly before: Position | undefined
  readonly limit: number
}

/**
 * A query for the keys and positions of the newest rows. It reads at most `limit` rows of each way. A row may fit two ways, since people refer
 * themselves. Undefined if a value has a NUL: no stored value has one, and no parameter can hold one.
 */
export function newestOf({ table, key, id, ways, filter, before, limit }: Newest): Sql | undefined {
  const isBefore =
    before &&
    sql`received_at <= ${before.receivedAt} AND (received_at < ${before.receivedAt} OR ${raw(id)} < ${before.id})`
  const parts = ways.map((way) => all([way, filter, isBefore]) ?? everything)
  const values = parts.flatMap((part) => part.values)
  if (values.some((value) => typeof value === 'string' && value.includes('\0'))) return undefined
  const order = raw(`ORDER BY received_at DESC, position DESC LIMIT ${String(limit)}`)
  const select = raw(`SELECT ${key}, received_at, ${id} AS position FROM ${table}`)
  const selects = parts.map((part) => sql`(${select} WHERE ${part} ${order})`)
  const union = joined(selects, ' UNION ')
  return selects.length === 1 ? union : sql`${union} ${order}`
}

/** A query for the keys of the newest deliveries. */
export function newestDeliveries(table: string, selection: DeliverySelection): Sql | undefined {
  const { before, limit } = selection
  const { ways, filter } = deliveryWays(selection)
  const id = `(claim || ':' || event_key) COLLATE "C"`
  return newestOf({ table, key: 'claim, event_key', id, ways: ways.map(({ where }) => where), filter, before, limit })
}
