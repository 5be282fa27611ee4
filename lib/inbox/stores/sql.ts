/** The value of a parameter of a statement. */
export type Value = string | number | bigint

/** A statement, or a piece of one: its text around the parameters. There is one part more than there are values. */
export interface Sql {
  readonly parts: readonly string[]
  readonly values: readonly Value[]
}

/**
 * Builds a statement: a value becomes a parameter, a piece becomes part of the text. `withQuestionMarks` and `withNumbers` write the parameters
 * as SQLite and PostgreSQL want them.
 */
export function sql(strings: TemplateStringsArray, ...holes: readonly (Value | Sql)[]): Sql {
  const parts = [strings[0] ?? '']
  const values: Value[] = []
  const append = (text: string): void => {
    parts.push((parts.pop() ?? '') + text)
  }
  for (const [index, hole] of holes.entries()) {
    if (typeof hole === 'object') {
      const [first = '', ...rest] = hole.parts
      append(first)
      parts.push(...rest)
      values.push(...hole.values)
    } else {
      parts.push('')
      values.push(hole)
    }
    append(strings[index + 1] ?? '')
  }
  return { parts, values }
}

/** SQL of this package: a name, or a condition without values. Never a string from outside. */
export function raw(text: string): Sql {
  return { parts: [text], values: [] }
}

/** Joins pieces by a text. */
export function joined(pieces: readonly Sql[], between: string): Sql {
  const [first, ...rest] = pieces
  return rest.reduce((whole, piece) => sql`${whole}${raw(between)}${piece}`, first ?? raw(''))
}

/** The statement's text for SQLite. */
export function withQuestionMarks({ parts }: Sql): string {
  return parts.join('?')
}

/** The statement's text for PostgreSQL. */
export function withNumbers({ parts }: Sql): string {
  return parts.map((part, index) => (index === 0 ? part : `$${String(index)}${part}`)).join('')
}

export const everything: Sql = raw('TRUE')

/** Joins conditions by AND; undefined if there is none. */
export function all(conditions: readonly (Sql | undefined)[]): Sql | undefined {
  const present = conditions.filter((condition) => condition !== undefined)
  if (present.length === 0) return undefined
  const bracketed = present.map((condition) => sql`(${condition})`)
  return joined(bracketed, ' AND ')
}

/** The condition for a scope. Indexes hold only the beginning of a scope: PostgreSQL refuses an index entry of over 2,704 bytes. */
export function isOfScope(column: string, scope: string | undefined): Sql | undefined {
  if (scope === undefined) return undefined
  return sql`substr(${raw(column)}, 1, 200) = substr(${scope}, 1, 200) AND ${raw(column)} = ${scope}`
}

/** `column = value`; undefined without a value. */
export function is(column: string, value: string | undefined): Sql | undefined {
  return value === undefined ? undefined : sql`${raw(column)} = ${value}`
}

/** The assignments of an upsert. */
export function assignExcluded(columns: readonly string[]): string {
  return columns.map((column) => `${column} = excluded.${column}`).join(', ')
}
