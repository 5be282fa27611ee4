/** A condition, or a query, with the values of its question marks. */
export interface Condition {
  readonly sql: string
  readonly values: readonly (string | number | bigint)[]
}

export const everything: Condition = { sql: 'TRUE', values: [] }

/** All of the conditions that are there; absent where there is none. */
export function all(conditions: readonly (Condition | undefined)[]): Condition | undefined {
  const present = conditions.filter((condition) => condition !== undefined)
  if (present.length === 0) return undefined
  return { sql: present.map(({ sql }) => `(${sql})`).join(' AND '), values: present.flatMap(({ values }) => values) }
}

/** Whether a row is of a scope. The indexes hold its beginning alone: PostgreSQL refuses a row whose index entry is over 2,704 bytes. */
export function isOfScope(column: string, scope: string | undefined): Condition | undefined {
  if (scope === undefined) return undefined
  return { sql: `substr(${column}, 1, 200) = substr(?, 1, 200) AND ${column} = ?`, values: [scope, scope] }
}

/** `column = value` where there is a value. */
export function is(column: string, value: string | undefined): Condition | undefined {
  return value === undefined ? undefined : { sql: `${column} = ?`, values: [value] }
}
