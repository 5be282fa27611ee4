import { fittingPeopleHashes, rivalIds, hashOfPeople } from '../claims.js'
import { joined, raw, sql, type Sql } from './sql.js'
import type { People } from '../records.js'

/** The indexes of rivals, by what comes in them after the identity. */
type Index = 'people' | 'referrer' | 'referee'

interface Indexed {
  readonly condition: Sql
  readonly index?: Index
}

/**
 * Finds the ids of the rivals that `belongsTo` needs: those with the people of a callback or with some of them left out, those whose id a
 * new claim would get, and some that do not contradict. Each condition is answered by an index, so that it does not matter how many
 * rivals an identity has. `using` names the index, for a database that lets a query choose.
 */
export function rivalsFor(
  table: string,
  identity: string,
  people: People,
  agreeing: number,
  using: (index: Index) => string = () => '',
): Sql {
  // The conditions are spelt as the partial indexes spell them.
  const select = ({ condition, index }: Indexed): Sql => {
    const from = raw(index === undefined ? table : `${table} ${using(index)}`)
    return sql`SELECT id FROM ${from} WHERE id <> identity AND identity = ${identity} AND ${condition}`
  }
  const first = (indexed: Indexed & { index: Index }): Sql => {
    const end = raw(`AND people IS NOT NULL ORDER BY ${orders[indexed.index]} LIMIT ${String(agreeing)}`)
    return sql`SELECT id FROM (${select(indexed)} ${end}) AS agreeing`
  }
  const selects = [
    select({ condition: inList('people', fittingPeopleHashes(identity, people)), index: 'people' }),
    select({ condition: inList('id', rivalIds(identity, hashOfPeople(identity, people))) }),
    ...agreeingWith(people).map(first),
  ]
  return joined(selects, ' UNION ')
}

/**
 * An order that only one index has. Without it PostgreSQL may read a whole table, if an identity and an address are each frequent but rare
 * together: PostgreSQL expects to find a row with both soon.
 */
const orders: Readonly<Record<Index, string>> = {
  people: 'people',
  referrer: 'referrer_email, referee_email',
  referee: 'referee_email NULLS FIRST, referrer_email NULLS FIRST',
}

/** The conditions for claims that do not contradict people: an address is the same, or left out on either side. */
function agreeingWith({ referrerEmail, refereeEmail }: People): readonly (Indexed & { index: Index })[] {
  if (referrerEmail !== undefined && refereeEmail !== undefined) {
    // A claim that states one of the two addresses is found by its people.
    return [{ condition: raw('referrer_email IS NULL AND referee_email IS NULL'), index: 'referrer' }]
  }
  if (referrerEmail !== undefined) return sameOrNone('referrer', referrerEmail)
  if (refereeEmail !== undefined) return sameOrNone('referee', refereeEmail)
  return [{ condition: raw('people IS NOT NULL'), index: 'people' }]
}

function sameOrNone(index: 'referrer' | 'referee', address: string): readonly (Indexed & { index: Index })[] {
  const column = raw(`${index}_email`)
  return [
    { condition: sql`${column} = ${address}`, index },
    { condition: sql`${column} IS NULL`, index },
  ]
}

function inList(column: string, values: readonly string[]): Sql {
  const list = values.map((value) => sql`${value}`)
  return sql`${raw(column)} IN (${joined(list, ', ')})`
}
