import { joined, raw, sql, withNumbers, withQuestionMarks } from '../../lib/inbox/stores/sql.js'

describe('a statement', () => {
  const condition = sql`a = ${1} OR b = ${'?'}`

  test('keeps its values apart from its text, in the order of its parameters', () => {
    const statement = sql`SELECT * FROM ${raw('t')} WHERE (${condition}) AND c < ${2n} LIMIT ${3}`
    expect(statement.values).toEqual([1, '?', 2n, 3])
    expect(withQuestionMarks(statement)).toBe('SELECT * FROM t WHERE (a = ? OR b = ?) AND c < ? LIMIT ?')
    expect(withNumbers(statement)).toBe('SELECT * FROM t WHERE (a = $1 OR b = $2) AND c < $3 LIMIT $4')
  })

  test('does not take a question mark in its text for a parameter', () => {
    const statement = sql`SELECT '?' WHERE data ? ${'key'}`
    expect(withNumbers(statement)).toBe(`SELECT '?' WHERE data ? $1`)
  })

  test('is made of pieces with the same text between them', () => {
    const union = joined([condition, raw('TRUE'), sql`d = ${4}`], ' UNION ')
    expect(withNumbers(union)).toBe('a = $1 OR b = $2 UNION TRUE UNION d = $3')
    expect(union.values).toEqual([1, '?', 4])
    expect(withNumbers(joined([], ', '))).toBe('')
  })
})
