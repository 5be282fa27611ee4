import type { Callback } from '../callback/conversion.js'
import { ConversionWebhookError } from '../errors.js'
import { belongsTo, differences, ledgerDifferences } from './claims.js'
import { claimNext, lapse, settle, withdrawOvertaken } from './delivery.js'
import type { Claimer, OwnAttempt, RetryPolicy } from './delivery.js'
import type { Accepted, Reserved, Verdict } from './inbox.js'
import { decide, previousOf } from './ledger.js'
import { conflictOf, type ConflictRecord } from './quarantine.js'
import { applyDecision, findDelivery, keyOf, isSameAttempt } from './records.js'
import type { AttemptMark, ClaimRecord, Delivery, DeliveryKey } from './records.js'
import { mayPay, reserve } from './reservation.js'
import type { Changed, Found } from './store.js'
import type { Contradiction, Difference, Outcome } from './vocabulary.js'

/* What recording, claiming and settling change in the claims of an identity. Pure, since a transaction that is repeated calls them again. */

/** A delivery that was claimed and is about to run. */
export interface StartedDelivery {
  readonly claim: string
  readonly delivery: Delivery
}

/** Deliveries of one claim that were refused because another claim has the order. */
export interface Lost {
  readonly claim: string
  readonly deliveries: readonly Delivery[]
}

/** Who claims deliveries in a change, and whether there is a slot for one. A change without it claims no delivery. */
export type Claiming = Omit<Claimer, 'holders'> & { readonly mayRun: () => boolean }

/** The result of every change that may claim a delivery. */
export interface ClaimResult {
  readonly started?: StartedDelivery | undefined
  readonly lost?: Lost | undefined
}

/** What a callback changes in the claims of its identity. */
export type Recording =
  | {
      readonly outcome: Exclude<Outcome, 'refused' | 'conflict'>
      readonly record: ClaimRecord
      /** The deliveries that the callback asked for. */
      readonly keys: readonly DeliveryKey[]
      /** The claim before this callback; undefined for a new claim. */
      readonly before: ClaimRecord | undefined
    }
  | { readonly outcome: 'conflict'; readonly conflict: ConflictRecord; readonly contradiction: Contradiction }

/**
 * Records a callback by rows 1 to 6 of "Who belongs to which claim" and the ledger's table. `holder` is the claim that has the order. A
 * callback that leaves an address of its claim out, or adds one, makes no event: if it would take a reward back or bring a goal, it is a
 * conflict. Pure.
 */
export function recordIn(
  claims: readonly ClaimRecord[],
  holder: string | undefined,
  identity: string,
  callback: Callback,
): Recording {
  const belonging = belongsTo(callback, identity, claims, holder)
  if ('conflictWith' in belonging) {
    const { conflictWith } = belonging
    return conflicting(identity, callback, conflictWith, differences(conflictWith, callback))
  }
  const before = 'recorded' in belonging ? belonging.recorded : undefined
  const decision = decide(before, callback)
  const { outcome } = decision
  if (before !== undefined && outcome === 'conflict') {
    return conflicting(identity, callback, before, ledgerDifferences(before, callback))
  }
  const isOfOthers = belonging.row === 2 || belonging.row === 5
  if (before !== undefined && isOfOthers && decision.events.length > 0) {
    return conflicting(identity, callback, before, differences(before, callback), before.id)
  }
  if (outcome === 'conflict') throw new Error('A new claim cannot be contradicted.')
  // In row 2 the callback may be somebody else's, so it changes none of the claim's facts.
  const learnt = belonging.row === 2 ? { ...decision, next: belonging.recorded } : decision
  const { record, keys } = applyDecision(belonging.head, before, callback, learnt)
  return { outcome, record, keys, before }
}

/**
 * Records a conflict for the claim that it agrees with, after a person has replayed it: a fail takes the reward back, a goal counts.
 * Undefined if the conflict contradicts that claim by now. Pure.
 */
export function recordDecided(recorded: ClaimRecord, callback: Callback): ClaimRecord | undefined {
  const decision = decide(recorded, callback)
  if (decision.outcome === 'conflict') return undefined
  return applyDecision(recorded, recorded, callback, decision).record
}

function conflicting(
  identity: string,
  callback: Callback,
  claim: ClaimRecord,
  differs: readonly Difference[],
  ofClaim?: string,
): Recording {
  const conflict = conflictOf(identity, callback, differs, ofClaim)
  return { outcome: 'conflict', conflict, contradiction: { id: conflict.id, recorded: previousOf(claim), differs } }
}

/** Records a callback by the ledger, and claims what can be delivered at once. */
export function recordCallback(
  { claims, holders }: Found,
  identity: string,
  callback: Callback,
  claiming: Claiming | undefined,
): Changed<ClaimResult & { accepted: Accepted }> {
  const recording = recordIn(claims, holders.get(identity)?.claim, identity, callback)
  const { outcome } = recording
  if (recording.outcome === 'conflict') {
    const { conflict, contradiction } = recording
    return { conflict, counted: outcome, result: { accepted: { outcome, id: conflict.id, contradiction } } }
  }
  const record = withdrawOvertaken(recording.record, callback.receivedAt)
  const taken = claimIfAllowed(record, holders, claiming)
  return { ...taken, counted: outcome, result: { accepted: { outcome, id: record.id }, ...taken.result } }
}

/** Records the verdict on an attempt that still owns its delivery, and claims the next delivery of the claim. */
export function settleAttempt(
  { record, holders }: Found,
  attempt: OwnAttempt,
  verdict: Verdict,
  policy: RetryPolicy,
  claiming: Claiming | undefined,
): Changed<ClaimResult & { isDead: boolean }> {
  if (record === undefined) return { result: { isDead: false } }
  const isMine = ownDelivery(record, attempt) !== undefined
  const settled = isMine ? settle(record, attempt.key, verdict, policy) : record
  const after = isMine ? findDelivery(settled, attempt.key) : undefined
  const taken = claimIfAllowed(withdrawOvertaken(settled, policy.now), holders, claiming)
  const deliveries = [...(after?.takenBy === undefined ? [] : [after]), ...(taken.result.lost?.deliveries ?? [])]
  const lost = { claim: record.id, deliveries }
  return { ...taken, result: { ...taken.result, lost, isDead: after?.state === 'dead' } }
}

/** Reserves an order after a yes of `confirm`, if the attempt still owns its delivery. */
export function reserveOrder(
  { record, holders }: Partial<Found>,
  attempt: OwnAttempt,
  order: string | undefined,
): Changed<Reserved> {
  const delivery = record && ownDelivery(record, attempt)
  if (!record || !holders || !delivery) {
    return { result: { verdict: { state: 'waiting', code: 'ERR_CONVERSION_ATTEMPT_LAPSED' } } }
  }
  const reservation = reserve(record, delivery, holders, order)
  return 'record' in reservation ? { ...reservation, result: {} } : { result: reservation }
}

/**
 * Marks a delivery done in the transaction of its handler's effect. Throws `ERR_CONVERSION_ATTEMPT_LAPSED` if the attempt no longer owns
 * the delivery, and `ERR_CONVERSION_ORDER_TAKEN` if the order was moved to another claim.
 */
export function commitAttempt(
  { record, holders }: Partial<Found>,
  attempt: OwnAttempt,
  policy: RetryPolicy,
  order: string | undefined,
): Changed<undefined> {
  const delivery = record && ownDelivery(record, attempt)
  if (!record || !delivery) throw new ConversionWebhookError('ERR_CONVERSION_ATTEMPT_LAPSED')
  if (!holders || !mayPay(record, delivery, holders, order))
    throw new ConversionWebhookError('ERR_CONVERSION_ORDER_TAKEN')
  return { record: settle(record, attempt.key, { state: 'done' }, policy), result: undefined }
}

/** Ends attempts whose process is gone, and claims what can be delivered now. */
export function takeOver(
  { record, holders }: Found,
  isLapsed: (attempt: AttemptMark) => boolean,
  policy: RetryPolicy,
  claiming: Claiming,
): Changed<ClaimResult & { dead: readonly Delivery[]; isChanged: boolean }> {
  if (record === undefined) return { result: { dead: [], isChanged: false } }
  const lapsed = record.deliveries.filter((delivery) => delivery.owner !== undefined && isLapsed(delivery))
  const brought = lapsed.reduce((found, delivery) => lapse(found, keyOf(delivery), policy), record)
  const dead = lapsed.filter((delivery) => findDelivery(brought, keyOf(delivery))?.state === 'dead')
  const taken = claimIfAllowed(brought, holders, claiming)
  return { ...taken, result: { ...taken.result, dead, isChanged: taken.record !== record } }
}

function claimIfAllowed(
  record: ClaimRecord,
  holders: Found['holders'],
  claiming: Claiming | undefined,
): Changed<ClaimResult> {
  if (claiming === undefined) return { record, result: {} }
  const { record: claimed, delivery, refused, reserved } = claimNext(record, { ...claiming, holders }, claiming.mayRun)
  const lost = { claim: record.id, deliveries: refused }
  return { record: claimed, reserved, result: { lost, started: delivery && { claim: record.id, delivery } } }
}

/** The delivery of an attempt, if the attempt still owns it: the owner may have lost that attempt and run another one by now. */
function ownDelivery(record: ClaimRecord, attempt: OwnAttempt): Delivery | undefined {
  const delivery = findDelivery(record, attempt.key)
  return delivery?.state === 'running' && isSameAttempt(delivery, attempt) ? delivery : undefined
}
