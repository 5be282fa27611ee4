import { fittingPeople, rivalIds } from '../claims.js'
import { peopleKey, type People } from '../identity.js'

/** A part of a query, with the values of its question marks. */
export interface Part {
  readonly sql: string
  readonly values: readonly string[]
}

/**
 * Finds the ids of the rivals that `belongsTo` needs: those with the people of a callback or with some of them left out, those whose id a
 * new claim would get, and some that do not contradict. Each condition is answered by an index, so that it does not matter how many
 * rivals an identity has.
 */
export function rivalsFor(table: string, identity: string, people: People, agreeing: number): Part {
  const { referrerEmail, refereeEmail } = people
  const referrers = sides('referrer_email', referrerEmail)
  const referees = sides('referee_email', refereeEmail)
  const selects = [
    select(table, identity, [inList('people', fittingPeople(identity, people))]),
    select(table, identity, [inList('id', rivalIds(identity, peopleKey(identity, people)))]),
    ...referrers.flatMap((one) => referees.map((other) => limited(table, identity, [one, other], agreeing))),
  ]
  return { sql: selects.map(({ sql }) => sql).join(' UNION '), values: selects.flatMap(({ values }) => values) }
}

/** What an address that does not contradict may be: the same, or none. */
function sides(column: string, address: string | undefined): readonly Part[] {
  if (address === undefined) return [{ sql: '', values: [] }]
  return [
    { sql: `${column} = ?`, values: [address] },
    { sql: `${column} IS NULL`, values: [] },
  ]
}

function inList(column: string, values: readonly string[]): Part {
  return { sql: `${column} IN (${values.map(() => '?').join(', ')})`, values }
}

/** The conditions are spelt as the partial indexes spell them. */
function select(table: string, identity: string, conditions: readonly Part[]): Part {
  const given = conditions.filter(({ sql }) => sql !== '')
  const where = ['id <> identity', 'identity = ?', ...given.map(({ sql }) => sql)]
  return {
    sql: `SELECT id FROM ${table} WHERE ${where.join(' AND ')}`,
    values: [identity, ...given.flatMap(({ values }) => values)],
  }
}

function limited(table: string, identity: string, conditions: readonly Part[], limit: number): Part {
  const { sql, values } = select(table, identity, [{ sql: 'people IS NOT NULL', values: [] }, ...conditions])
  return { sql: `SELECT id FROM (${sql} LIMIT ${String(limit)}) AS agreeing`, values }
}
