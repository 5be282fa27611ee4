import { reserveOrder, type TakenUp } from './transitions.js'
import type { Attempt } from './inbox.js'
import { orderOf } from './reservation.js'
import type { Store } from './store.js'

/** How one attempt reserves its order, and the identity of another order than the claim's own that it reserved. */
export function reserving<Tx>(store: Store<Tx>, { claim, delivery }: TakenUp, isOver: () => boolean) {
  let order: string | undefined
  const reserve: Attempt['reserve'] = (named) => {
    order = orderOf(delivery, named)
    return store.change({
      claim,
      order,
      apply: (found) => reserveOrder(isOver() ? {} : found, delivery, order),
    })
  }
  return { reserve, order: () => order }
}
