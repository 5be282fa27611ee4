import type { Callback } from '../callback/conversion.js'
import { ConversionWebhookError } from '../errors.js'
import { claimNext, lapse, settle, withdrawOvertaken, type Claimer, type Patience } from './delivery.js'
import type { Accepted, Verdict } from './inbox.js'
import { decide, previousOf } from './ledger.js'
import { conflictOf } from './quarantine.js'
import { applyDecision, findDelivery, keyOf, type Delivery, type IdentityRecord } from './records.js'
import type { Changed } from './store.js'

/* The changes that a durable inbox makes to one identity. Pure: a transaction that has to be repeated asks again. */

/** A delivery that was claimed, before it runs. */
export interface Claim {
  readonly identity: string
  readonly delivery: Delivery
}

/** Who claims in a change, and whether there is a slot for it; absent where a change is not to claim. */
export type Claiming = Claimer & { readonly mayRun: boolean }

/** Records a callback by the ledger, and claims what can be delivered at once. */
export function recordCallback(
  recorded: IdentityRecord | undefined,
  id: string,
  callback: Callback,
  claiming: Claiming | undefined,
): Changed<{ accepted: Accepted; claim?: Claim }> {
  const decision = decide(recorded, callback)
  const { outcome } = decision
  const { record } = applyDecision(id, recorded, callback, decision)
  if (outcome === 'conflict') {
    const accepted: Accepted = { outcome, id, recorded: previousOf(record) }
    return { record, conflict: conflictOf(id, callback), counted: outcome, result: { accepted } }
  }
  const claimed = claimIn(withdrawOvertaken(record, callback.receivedAt), claiming)
  return { ...claimed, counted: outcome, result: { accepted: { outcome, id }, ...claimed.result } }
}

/** Marks what an attempt came to, if the delivery is still its own, and claims the next one of the identity. */
export function settleAttempt(
  record: IdentityRecord,
  delivery: Delivery,
  verdict: Verdict,
  patience: Patience,
  claiming: Claiming | undefined,
): Changed<{ claim?: Claim; isDead: boolean }> {
  const isMine = isOurs(record, delivery)
  const settled = isMine ? settle(record, keyOf(delivery), verdict, patience) : record
  const isDead = isMine && findDelivery(settled, keyOf(delivery))?.state === 'dead'
  const claimed = claimIn(withdrawOvertaken(settled, patience.now), claiming)
  return { ...claimed, result: { ...claimed.result, isDead } }
}

/** Marks a delivery done together with its handler's effect. Throws `ERR_CONVERSION_ATTEMPT_LAPSED` where it is not the attempt's own. */
export function commitAttempt(
  record: IdentityRecord | undefined,
  delivery: Delivery,
  patience: Patience,
): Changed<undefined> {
  if (!record || !isOurs(record, delivery)) throw new ConversionWebhookError('ERR_CONVERSION_ATTEMPT_LAPSED')
  return { record: settle(record, keyOf(delivery), { state: 'done' }, patience), result: undefined }
}

/** Ends attempts whose process is gone, and claims what can be delivered now. */
export function takeOver(
  record: IdentityRecord,
  isLapsed: (owner: string) => boolean,
  patience: Patience,
  claiming: Claiming,
): Changed<{ claim?: Claim; dead: readonly Delivery[]; isChanged: boolean }> {
  const lapsed = record.deliveries.filter(({ owner }) => owner !== undefined && isLapsed(owner))
  const taken = lapsed.reduce((found, delivery) => lapse(found, keyOf(delivery), patience), record)
  const dead = lapsed.filter((delivery) => findDelivery(taken, keyOf(delivery))?.state === 'dead')
  const claimed = claimIn(taken, claiming)
  return { ...claimed, result: { ...claimed.result, dead, isChanged: claimed.record !== record } }
}

function claimIn(record: IdentityRecord, claiming: Claiming | undefined): Changed<{ claim?: Claim }> {
  if (claiming === undefined) return { record, result: {} }
  const { record: claimed, delivery } = claimNext(record, claiming, claiming.mayRun)
  return { record: claimed, result: delivery ? { claim: { identity: record.id, delivery } } : {} }
}

/** Whether the attempt that a delivery was claimed for is still the one that runs. */
function isOurs(record: IdentityRecord, claimed: Delivery): boolean {
  const delivery = findDelivery(record, keyOf(claimed))
  return delivery?.state === 'running' && delivery.owner === claimed.owner
}
