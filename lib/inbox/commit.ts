import { commitAttempt } from './changes.js'
import { bury, type Patience } from './delivery.js'
import { isTransactionEnded } from './ended.js'
import { keyOf, type Delivery } from './records.js'
import type { Change, DurableStore } from './store.js'
import type { ConversionWebhookError } from '../errors.js'

interface Attempt<Tx> {
  readonly identity: string
  readonly delivery: Delivery
  readonly isOver: () => boolean
  readonly patience: () => Patience
  /** Makes a change as often as the storage needs. */
  readonly insist: (change: Change<undefined, Tx>) => Promise<unknown>
  readonly onDead: (error: ConversionWebhookError) => void
}

/** `context.commit` of one attempt: runs a function in the transaction that marks the delivery done. */
export function commitOf<Tx>(store: DurableStore<Tx>, attempt: Attempt<Tx>) {
  const { identity, delivery } = attempt
  return async (fn: (tx: never) => unknown): Promise<unknown> => {
    let value: unknown
    try {
      await store.change({
        identity,
        apply: ({ record }) => commitAttempt(attempt.isOver() ? undefined : record, delivery, attempt.patience()),
        effect: (tx: Tx) => {
          value = fn(tx as never)
          return value
        },
      })
    } catch (error) {
      if (isTransactionEnded(error)) await buryAttempt(attempt, error)
      throw error
    }
    return value
  }
}

/** Whoever owns the delivery now: one more attempt would repeat what this one committed. */
async function buryAttempt<Tx>({ identity, delivery, ...attempt }: Attempt<Tx>, error: ConversionWebhookError) {
  await attempt.insist({
    identity,
    apply: ({ record }) => ({
      ...(record && { record: bury(record, keyOf(delivery), error, attempt.patience().now) }),
      result: undefined,
    }),
  })
  attempt.onDead(error)
}
