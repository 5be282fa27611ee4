import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { Cell, Column } from './columns.js'
import { cellOf } from './rows.js'

export const insertInto = (table: string, columns: readonly string[]): string => `INSERT ${into(table, columns)}`

/** In the place of a row that has the same key. */
export const replaceIn = (table: string, columns: readonly string[]): string =>
  `INSERT OR REPLACE ${into(table, columns)}`

const into = (table: string, columns: readonly string[]): string =>
  `INTO ${table} (${columns.join(', ')}) VALUES (${columns.map(() => '?').join(', ')})`

export const assign = (columns: readonly string[]): string => columns.map((column) => `${column} = ?`).join(', ')

/** The assignments of the cells that changed alone: SQLite writes an index whose columns are named, though they stay the same. */
export function assignChanged<Source>(columns: readonly Column<Source>[], before: Source, after: Source) {
  const assignments: string[] = []
  const values: Cell[] = []
  for (const column of columns) {
    const cell = cellOf(column, after)
    if (cell === cellOf(column, before)) continue
    assignments.push(`${column.name} = ?`)
    values.push(cell)
  }
  return { sql: assignments.join(', '), values }
}

/** Statements are prepared once, when they are first used. */
export function preparing(db: DatabaseSync): (sql: string) => StatementSync {
  const statements = new Map<string, StatementSync>()
  return (sql) => {
    let statement = statements.get(sql)
    if (statement === undefined) {
      statement = db.prepare(sql)
      statements.set(sql, statement)
    }
    return statement
  }
}
