import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'

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

/** The conditions whose first part is there, with their values. */
export function conditions(all: readonly (readonly [unknown, string, ...(SQLInputValue | undefined)[]])[]) {
  const present = all.filter(([wanted]) => wanted !== undefined)
  const sql = present.length === 0 ? '' : `WHERE ${present.map(([, condition]) => condition).join(' AND ')}`
  return { sql, values: present.flatMap(([, , ...values]) => values.map((value) => value ?? null)) }
}

const turnMs = 10

/** Makes something of each row, at least of the first, for as long as nobody notices that the driver is synchronous. */
export function inTime<Row, Made>(rows: readonly Row[], make: (row: Row) => Made): Made[] {
  const made: Made[] = []
  const startedAt = performance.now()
  for (const row of rows) {
    made.push(make(row))
    if (performance.now() - startedAt > turnMs) break
  }
  return made
}
