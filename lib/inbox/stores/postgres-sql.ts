import { bitsOf } from '../identity.js'
import type { Cell } from './rows.js'

/** The types of columns that are no texts. */
const types: Readonly<Record<string, string>> = {
  goal: 'smallint',
  purchase_value: 'double precision',
  is_forgotten: 'smallint',
  sequence: 'integer',
  attempts: 'integer',
  holds: 'integer',
  held_since: 'bigint',
  first_date: 'bigint',
  held_until: 'bigint',
  due_at: 'bigint',
  started_at: 'bigint',
  received_at: 'bigint',
  settled_at: 'bigint',
  is_unheard: 'smallint',
  takes: 'smallint',
  bytes: 'integer',
  last_at: 'bigint',
  count: 'bigint',
}

/**
 * Rows as one parameter a column: a statement stays the same for one row and for five hundred. Columns in which nothing is are left out,
 * which of a new delivery are many; an INSERT makes them null.
 */
export function columnsOf(columns: readonly string[], rows: readonly (readonly Cell[])[]) {
  const all = columns.map((column, index) => ({ column, values: rows.map((row) => row[index] ?? null) }))
  const used = all.filter(({ values }) => values.some((value) => value !== null))
  return {
    used: used.map(({ column }) => column),
    arrays: used.map(({ column }, index) => `$${String(index + 1)}::${types[column] ?? 'text'}[]`).join(', '),
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
