import type { Cell, Column } from './columns.js'
import { cellOf } from './rows.js'
import { bitsOf } from '../../util/hash-of.js'
import type { DeliverySelection, Position } from '../store.js'
import { all, everything, joined, raw, sql, type Sql } from './sql.js'
import { deliveryWays } from './delivery-ways.js'

/** A column with a value for each of some rows. */
export interface Values {
  readonly name: string
  /** The type of its array. */
  readonly type: string
  readonly values: readonly Cell[]
}

/** What columns hold of some rows. */
export function valuesOf<Source>(columns: readonly Column<Source>[], rows: readonly Source[]): readonly Values[] {
  return columns.map((column) => ({
    name: column.name,
    type: column.array,
    values: rows.map((row) => cellOf(column, row)),
  }))
}

/**
 * Rows as one parameter a column: a statement stays the same for one row and for five hundred. Columns in which nothing is are left out,
 * which of a new delivery are many; an INSERT makes them null.
 */
export function arraysOf(columns: readonly Values[]) {
  const used = columns.filter(({ values }) => values.some((value) => value !== null))
  return {
    used: used.map(({ name }) => name),
    arrays: used.map(({ type }, index) => `$${String(index + 1)}::${type}[]`).join(', '),
    values: used.map(({ values }) => values),
  }
}

/** The advisory lock of an id: 64 bits of its hash. The same bits for two of them make them wait for each other, no more. */
export function lockKey(id: string): string {
  return String(bitsOf(/^(?:refused:)?([0-9a-f]{16})/.exec(id)?.[1] ?? '0'))
}

/** The advisory lock of the identity in a column. */
export function lockKeySql(column: string): string {
  return `('x' || left(${column}, 16))::bit(64)::bigint`
}

/** What is asked of a table, newest first. */
export interface Newest {
  readonly table: string
  /** The columns that tell its rows apart. */
  readonly key: string
  /** An expression for the id of a row, as ids are compared. */
  readonly id: string
  /** Conditions that an index answers in the order of time, each apart from the others; rows are of any of them. */
  readonly ways: readonly Sql[]
  /** What the rows must be besides. */
  readonly filter?: Sql | undefined
  readonly before: Position | undefined
  readonly limit: number
}

/**
 * The keys and positions of the newest rows, as a query: from each way at most as many as are asked for, so that nothing else is read or
 * sorted. A row may be of two ways: people refer themselves. Absent where a value has a NUL, which nothing stored has and no parameter can hold.
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
  const selects = joined(
    parts.map((part) => sql`(${select} WHERE ${part} ${order})`),
    ' UNION ',
  )
  return parts.length === 1 ? selects : sql`${selects} ${order}`
}

/** The keys of deliveries. */
export function newestDeliveries(table: string, selection: DeliverySelection): Sql | undefined {
  const { before, limit } = selection
  const { ways, filter } = deliveryWays(selection)
  const id = `(claim || ':' || event_key) COLLATE "C"`
  return newestOf({ table, key: 'claim, event_key', id, ways: ways.map(({ where }) => where), filter, before, limit })
}
