import type { ConversionWebhookError } from '../errors.js'
import { bury, type Patience } from './delivery.js'
import { isTransactionEnded } from './ended.js'
import type { Attempt } from './inbox.js'
import { keyOf } from './records.js'
import { orderOf } from './reservation.js'
import type { Change, DurableStore, Store } from './store.js'
import { commitAttempt, reserveOrder, type TakenUp } from './transitions.js'

/** `reserve` of one attempt; `order` returns the identity of the order that `confirm` named in it, if it named one. */
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
  /** Makes a change, and repeats it while the storage fails. */
  readonly changeWithRetry: (change: Change<undefined, Tx>) => Promise<unknown>
  readonly onDead: (error: ConversionWebhookError) => void
}

/** The changes that one attempt may make in the storage while it runs. */
export function changesOf<Tx>(store: DurableStore<Tx>, running: Running<Tx>): Pick<Attempt, 'reserve' | 'commit'> {
  const { claim, delivery } = running
  const { reserve, order } = reserving(store, running, running.isOver)

  /** `context.commit`: runs a function in the transaction that marks the delivery done. */
  async function commit(fn: (tx: never) => unknown): Promise<unknown> {
    let value: unknown
    try {
      await store.change({
        claim,
        order: order(), // checked again: a person may have moved it to another claim since
        apply: (found) => commitAttempt(running.isOver() ? {} : found, delivery, running.patience(), order()),
        effect: (tx: Tx) => fn(tx as never),
        // Some libraries send a statement each time it is awaited, so the value that the store awaited is returned, never `fn`'s own.
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

/** Makes the delivery dead even if another attempt owns it by now: any attempt would repeat what this one committed. */
async function buryAttempt<Tx>({ claim, delivery, ...running }: Running<Tx>, error: ConversionWebhookError) {
  await running.changeWithRetry({
    claim,
    apply: ({ record }) => ({
      ...(record && { record: bury(record, keyOf(delivery), error, running.patience().now) }),
      result: undefined,
    }),
  })
  running.onDead(error)
}
