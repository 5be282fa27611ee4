import { ConversionWebhookError } from '../errors.js'
import { settlesWithin } from '../util/settles-within.js'
import { differences, orderIdentity } from './claims.js'
import { makeDead, type OwnAttempt, type RetryPolicy } from './delivery.js'
import type { Attempt, Delivering, InboxHost, Job, Verdict } from './inbox.js'
import { previousOf } from './ledger.js'
import { deliveryId, keyOf } from './records.js'
import type { Slot, Slots } from './slots.js'
import { isTransactionEnded, type Change, type DurableStore, type Store } from './store.js'
import { commitAttempt, reserveOrder, type Lost } from './transitions.js'

/* What inboxes with and without retries do for an attempt that runs: reserve, commit, give up on a late handler, report a lost order. */

/** `reserve` of one attempt; `order` returns the identity of the order that `confirm` named in it, if it named one. */
export function reserving<Tx>(store: Store<Tx>, attempt: OwnAttempt, isOver: () => boolean) {
  const { claim, scope } = attempt
  let order: string | undefined
  const reserve: Attempt['reserve'] = (named) => {
    order = named === undefined ? undefined : orderIdentity(scope, named)
    return store.change({ claim, order, apply: (found) => reserveOrder(isOver() ? {} : found, attempt, order) })
  }
  return { reserve, order: () => order }
}

interface Running<Tx> {
  readonly attempt: OwnAttempt
  readonly isOver: () => boolean
  readonly policy: () => RetryPolicy
  /** Makes a change, and repeats it while the storage fails. */
  readonly changeWithRetry: (change: Change<undefined, Tx>) => Promise<unknown>
  readonly onDead: (error: ConversionWebhookError) => void
}

/** The changes that one attempt may make in the storage while it runs. */
export function changesOf<Tx>(store: DurableStore<Tx>, running: Running<Tx>): Pick<Attempt, 'reserve' | 'commit'> {
  const { attempt } = running
  const { reserve, order } = reserving(store, attempt, running.isOver)

  /** `context.commit`: runs a function in the transaction that marks the delivery done. */
  async function commit(fn: (tx: never) => unknown): Promise<unknown> {
    let value: unknown
    try {
      await store.change({
        claim: attempt.claim,
        order: order(), // checked again: a person may have moved it to another claim since
        apply: (found) => commitAttempt(running.isOver() ? {} : found, attempt, running.policy(), order()),
        effect: (tx: Tx) => fn(tx as never),
        // Some libraries send a statement each time it is awaited, so the value that the store awaited is returned, never `fn`'s own.
        effected: (answer) => {
          value = answer
        },
      })
    } catch (error) {
      if (isTransactionEnded(error)) await makeAttemptDead(running, error)
      throw error
    }
    return value
  }

  return { reserve, commit }
}

/** Makes the delivery dead even if another attempt owns it by now: any attempt would repeat what this one committed. */
async function makeAttemptDead<Tx>(
  { attempt: { claim, key }, policy, changeWithRetry, onDead }: Running<Tx>,
  error: ConversionWebhookError,
) {
  await changeWithRetry({
    claim,
    apply: ({ record }) => ({ record: record && makeDead(record, key, error, policy().now), result: undefined }),
  })
  onDead(error)
}

/** An attempt whose time has run out, though its handler runs on, and what its process runs. */
interface Late {
  readonly job: Job
  readonly delivering: Delivering
  readonly slot: Slot
  readonly host: InboxHost
  readonly slots: Slots
  /** The attempts that `close` waits for. */
  readonly running: Set<Delivering>
}

export function isLate(verdict: Verdict): boolean {
  return verdict.state === 'waiting' && verdict.code === 'ERR_CONVERSION_HANDLER_LATE'
}

/**
 * Waits for a late handler for another `handlerTimeoutMs`. If the handler still runs, it is stuck: its slot goes to others and `close` no
 * longer waits for it, since a handler that never ends would stop all deliveries. Resolves when the handler has ended or is stuck.
 */
export async function giveUpOn({ job, delivering, slot, host, slots, running }: Late): Promise<void> {
  if (await settlesWithin(host.handlerTimeoutMs, delivering.finished, { isUnref: true })) return
  slot.giveAway()
  running.delete(delivering)
  const values = { event: job.event, ms: host.handlerTimeoutMs }
  host.onError(new ConversionWebhookError('ERR_CONVERSION_HANDLER_STUCK', { values }), job)
  if (!slots.isExhausted) return
  host.onError(new ConversionWebhookError('ERR_CONVERSION_DELIVERY_STOPPED', { values: { stuck: slots.stuck } }))
}

/** Calls `onConflict` for each delivery that was refused because another claim has the order, with the differences between the claims. */
export async function reportLostOrder(store: Store, lost: Lost | undefined, host: InboxHost): Promise<void> {
  if (lost === undefined) return
  for (const delivery of lost.deliveries) {
    const { callback, takenBy } = delivery
    const holder = takenBy === undefined ? undefined : await store.record(takenBy)
    if (holder === undefined) continue // the memory inbox has dropped the other claim
    const id = deliveryId(lost.claim, keyOf(delivery))
    host.onConflict({ id, callback, recorded: previousOf(holder), differs: differences(holder, callback) })
  }
}
