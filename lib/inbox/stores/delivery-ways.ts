import type { DeliverySelection } from '../store.js'
import type { DeliveryState } from '../vocabulary.js'
import { all, everything, is, isOfScope, raw, sql, type Sql } from './sql.js'

/** The first columns of the index that answers a condition; `received_at` follows them. */
export type ListedBy = 'order' | 'referrer' | 'referee' | 'scope' | 'state' | 'running'

export interface DeliveryWay {
  readonly by: ListedBy
  readonly where: Sql
}

const settledOrWaiting: readonly DeliveryState[] = ['waiting', 'done', 'dead', 'withdrawn', 'refused']

/* Conditions, spelt as the partial indexes spell them. */

export const waitsUnheld = `state = 'waiting' AND held_until IS NULL AND holds = 0`
/** What prune looks for. */
export const isKeptAtRest = `state IN ('done', 'withdrawn', 'refused') AND is_emptied IS NULL`

/**
 * The conditions by which deliveries are found newest first. An order or an address narrows most, and the rest of the query is a filter.
 * Without them deliveries are found by state, each state in the order of time. Running deliveries are few, and in no index by time, which each
 * attempt would have to write twice. With `isRare`, few deliveries are in the wanted state: then the state narrows more than an address.
 */
export function deliveryWays(
  { state, scope, orderId, email }: DeliverySelection,
  isRare = false,
): { readonly ways: readonly DeliveryWay[]; readonly filter: Sql | undefined } {
  const rest = [isOfScope('scope', scope), is('state', state)]
  if (orderId !== undefined) {
    const isOfEmail = email === undefined ? undefined : eitherIs(email)
    return { ways: [{ by: 'order', where: sql`order_id = ${orderId}` }], filter: all([isOfEmail, ...rest]) }
  }
  if (email !== undefined && !isRare) {
    const by = (column: 'referrer' | 'referee'): DeliveryWay => ({
      by: column,
      where: sql`${raw(column)}_email = ${email}`,
    })
    return { ways: [by('referrer'), by('referee')], filter: all(rest) }
  }
  const isInScope = isOfScope('scope', scope)
  const inState = (each: DeliveryState): DeliveryWay => {
    // Spelt as the partial indexes spell it.
    const isInState = raw(each === 'running' ? `state = 'running'` : `state <> 'running' AND state = '${each}'`)
    const by = each === 'running' ? 'running' : isInScope ? 'scope' : 'state'
    return { by, where: all([isInScope, isInState]) ?? everything }
  }
  const states = state === undefined ? [...settledOrWaiting, 'running' as const] : [state]
  return { ways: states.map(inState), filter: email === undefined ? undefined : eitherIs(email) }
}

function eitherIs(email: string): Sql {
  return sql`referrer_email = ${email} OR referee_email = ${email}`
}
