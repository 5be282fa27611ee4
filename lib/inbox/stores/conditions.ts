import { joined, raw, sql, type Sql } from './sql.js'

export const everything: Sql = raw('TRUE')

/** All of the conditions that are there; absent where there is none. */
export function all(conditions: readonly (Sql | undefined)[]): Sql | undefined {
  const present = conditions.filter((condition) => condition !== undefined)
  if (present.length === 0) return undefined
  return joined(
    present.map((condition) => sql`(${condition})`),
    ' AND ',
  )
}

/** Whether a row is of a scope. The indexes hold its beginning alone: PostgreSQL refuses a row whose index entry is over 2,704 bytes. */
export function isOfScope(column: string, scope: string | undefined): Sql | undefined {
  if (scope === undefined) return undefined
  return sql`substr(${raw(column)}, 1, 200) = substr(${scope}, 1, 200) AND ${raw(column)} = ${scope}`
}

/** `column = value` where there is a value. */
export function is(column: string, value: string | undefined): Sql | undefined {
  return value === undefined ? undefined : sql`${raw(column)} = ${value}`
}
