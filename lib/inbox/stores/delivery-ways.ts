import type { DeliverySelection } from '../store.js'
import type { DeliveryState } from '../vocabulary.js'
import { all, everything, is, isOfScope, raw, sql, type Sql } from './sql.js'

/** Which index answers a condition: by its first columns, which `received_at` follows. */
export type ListedBy = 'order' | 'referrer' | 'referee' | 'scope' | 'state' | 'running'

export interface DeliveryWay {
  readonly by: ListedBy
  readonly where: Sql
}

const settledOrWaiting: readonly DeliveryState[] = ['waiting', 'done', 'dead', 'withdrawn', 'refused']

/**
 * How deliveries are found newest first. An order or an address says most, and what else is asked for is a filter. Everything else goes
 * through states, each of which is in the order of time. What runs is in no index by time, since it would be put there and removed again
 * with each attempt; it is little. `isRare` says that few deliveries are in the state that is asked for: then it says more than an address.
 */
export function deliveryWays(
  { state, scope, orderId, email }: DeliverySelection,
  isRare = false,
): {
  readonly ways: readonly DeliveryWay[]
  readonly filter: Sql | undefined
} {
  const rest = [isOfScope('scope', scope), is('state', state)]
  if (orderId !== undefined) {
    const isOfEmail = email === undefined ? undefined : eitherIs(email)
    return {
      ways: [{ by: 'order', where: sql`order_id = ${orderId}` }],
      filter: all([isOfEmail, ...rest]),
    }
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
    // As the partial indexes spell it.
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
