import { fittingPeople, rivalIds } from '../claims.js'
import { peopleKey, type People } from '../identity.js'
import type { Condition } from './conditions.js'

/** The indexes of rivals, by what comes in them after the identity. */
type Index = 'people' | 'referrer' | 'referee'

interface Indexed extends Condition {
  readonly index?: Index
}

/**
 * Finds the ids of the rivals that `belongsTo` needs: those with the people of a callback or with some of them left out, those whose id a
 * new claim would get, and some that do not contradict. Each condition is answered by an index, so that it does not matter how many
 * rivals an identity has. `using` spells which one, where the database can be told.
 */
export function rivalsFor(
  table: string,
  identity: string,
  people: People,
  agreeing: number,
  using: (index: Index) => string = () => '',
): Condition {
  /** The conditions are spelt as the partial indexes spell them. */
  const select = ({ sql, values, index }: Indexed): Condition => {
    const from = index === undefined ? table : `${table} ${using(index)}`
    return {
      sql: `SELECT id FROM ${from} WHERE id <> identity AND identity = ? AND ${sql}`,
      values: [identity, ...values],
    }
  }
  const first = (condition: Indexed & { index: Index }): Condition => {
    const { sql, values } = select(condition)
    const ordered = `${sql} AND people IS NOT NULL ORDER BY ${orders[condition.index]} LIMIT ${String(agreeing)}`
    return { sql: `SELECT id FROM (${ordered}) AS agreeing`, values }
  }
  const selects = [
    select({ ...inList('people', fittingPeople(identity, people)), index: 'people' }),
    select(inList('id', rivalIds(identity, peopleKey(identity, people)))),
    ...agreeingWith(people).map(first),
  ]
  return { sql: selects.map(({ sql }) => sql).join(' UNION '), values: selects.flatMap(({ values }) => values) }
}

/**
 * Each is the order of one index alone. Without it PostgreSQL reads a whole table where an identity and an address are frequent, but not
 * together: it guesses that the first row that has both comes soon.
 */
const orders: Readonly<Record<Index, string>> = {
  people: 'people',
  referrer: 'referrer_email, referee_email',
  referee: 'referee_email NULLS FIRST, referrer_email NULLS FIRST',
}

/** The conditions for claims that do not contradict people: an address is the same, or left out on either side. */
function agreeingWith({ referrerEmail, refereeEmail }: People): readonly (Indexed & { index: Index })[] {
  if (referrerEmail !== undefined && refereeEmail !== undefined) {
    // Those with one of the two are found by their people.
    return [{ sql: 'referrer_email IS NULL AND referee_email IS NULL', values: [], index: 'referrer' }]
  }
  if (referrerEmail !== undefined) return sameOrNone('referrer', referrerEmail)
  if (refereeEmail !== undefined) return sameOrNone('referee', refereeEmail)
  return [{ sql: 'people IS NOT NULL', values: [], index: 'people' }]
}

function sameOrNone(index: 'referrer' | 'referee', address: string): readonly (Indexed & { index: Index })[] {
  return [
    { sql: `${index}_email = ?`, values: [address], index },
    { sql: `${index}_email IS NULL`, values: [], index },
  ]
}

function inList(column: string, values: readonly string[]): Condition {
  return { sql: `${column} IN (${values.map(() => '?').join(', ')})`, values }
}
