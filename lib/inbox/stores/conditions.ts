/** A condition, with the values of its question marks. */
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

/** `column = value` where there is a value. */
export function is(column: string, value: string | undefined): Condition | undefined {
  return value === undefined ? undefined : { sql: `${column} = ?`, values: [value] }
}
