/** What a parameter of a statement holds. */
export type Value = string | number | bigint

/** A statement, or a piece of one: its text around the parameters. There is one part more than there are values. */
export interface Sql {
  readonly parts: readonly string[]
  readonly values: readonly Value[]
}

/**
 * Builds a statement: a value becomes a parameter, a piece becomes part of the text. Each database numbers the parameters by itself, so that
 * no text is searched for question marks.
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

/** Text of this package that a statement holds as it is: a name, a condition without values. Never what came from outside. */
export function raw(text: string): Sql {
  return { parts: [text], values: [] }
}

/** Pieces with the same text between them. */
export function joined(pieces: readonly Sql[], between: string): Sql {
  const [first, ...rest] = pieces
  return rest.reduce((whole, piece) => sql`${whole}${raw(between)}${piece}`, first ?? raw(''))
}

/** The text as SQLite takes it. */
export function withQuestionMarks({ parts }: Sql): string {
  return parts.join('?')
}

/** The text as PostgreSQL takes it. */
export function withNumbers({ parts }: Sql): string {
  return parts.map((part, index) => (index === 0 ? part : `$${String(index)}${part}`)).join('')
}

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
