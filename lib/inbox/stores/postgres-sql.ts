import { bitsOf } from '../identity.js'
import type { Cell, Column } from './columns.js'

/** A column with a value for each of some rows. */
export interface Values {
  readonly name: string
  /** The type of its array. */
  readonly type: string
  readonly values: readonly Cell[]
}

/** What columns hold of some rows. */
export function valuesOf<From>(columns: readonly Column<From, never>[], rows: readonly From[]): readonly Values[] {
  return columns.map(({ name, array, write }) => ({ name, type: array, values: rows.map(write) }))
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
