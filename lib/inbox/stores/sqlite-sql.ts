import type { DatabaseSync, StatementSync } from 'node:sqlite'

export const insertInto = (table: string, columns: readonly string[]): string =>
  `INSERT INTO ${table} (${columns.join(', ')}) VALUES (${columns.map(() => '?').join(', ')})`

export const assign = (columns: readonly string[]): string => columns.map((column) => `${column} = ?`).join(', ')

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
