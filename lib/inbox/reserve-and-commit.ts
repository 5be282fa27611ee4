import type { ConversionWebhookError } from '../errors.js'
import { bury, type Patience } from './delivery.js'
import { isTransactionEnded } from './ended.js'
import type { Attempt } from './inbox.js'
import { keyOf } from './records.js'
import { orderOf } from './reservation.js'
import type { Change, DurableStore, Store } from './store.js'
import { commitAttempt, reserveOrder, type TakenUp } from './transitions.js'

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

interface Running<Tx> extends TakenUp {
  readonly isOver: () => boolean
  readonly patience: () => Patience
  /** Makes a change as often as the storage needs. */
  readonly insist: (change: Change<undefined, Tx>) => Promise<unknown>
  readonly onDead: (error: ConversionWebhookError) => void
}

/** What an attempt changes in the storage while it runs. */
export function changesOf<Tx>(store: DurableStore<Tx>, running: Running<Tx>): Pick<Attempt, 'reserve' | 'commit'> {
  const { claim, delivery } = running
  const { reserve, order } = reserving(store, running, running.isOver)

  /** `context.commit`: runs a function in the transaction that marks the delivery done. */
  async function commit(fn: (tx: never) => unknown): Promise<unknown> {
    let value: unknown
    try {
      await store.change({
        claim,
        order: order(), // looked at once more
        apply: (found) => commitAttempt(running.isOver() ? {} : found, delivery, running.patience(), order()),
        effect: (tx: Tx) => fn(tx as never),
        // A statement of a library is sent anew each time it is awaited, so `fn`'s own answer is not given back.
        effected: (answer) => {
          value = answer
        },
      })
    } catch (error) {
      if (isTransactionEnded(error)) await buryAttempt(running, error)
      throw error
    }
    return value
  }

  return { reserve, commit }
}

/** Whoever owns the delivery now: one more attempt would repeat what this one committed. */
async function buryAttempt<Tx>({ claim, delivery, ...running }: Running<Tx>, error: ConversionWebhookError) {
  await running.insist({
    claim,
    apply: ({ record }) => ({
      ...(record && { record: bury(record, keyOf(delivery), error, running.patience().now) }),
      result: undefined,
    }),
  })
  running.onDead(error)
}
