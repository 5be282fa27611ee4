import type { Callback } from '../../lib/callback/conversion.js'
import { claim, settle } from '../../lib/inbox/delivery.js'
import { decide } from '../../lib/inbox/ledger.js'
import {
  applyDecision,
  findDelivery,
  type ClaimHead,
  type ClaimRecord,
  type DeliveryKey,
} from '../../lib/inbox/records.js'
import type { ConversionStatus } from '../../lib/index.js'
import { params } from './callbacks.js'
import type { DeliveryState } from '../../lib/inbox/vocabulary.js'
import { identityOf, hashOfPeople, peopleOf } from '../../lib/inbox/claims.js'

/** A valid callback as the inbox records it: the documented example, with `goal_complete` only if `changes` say so. */
export function callbackOf(
  status: ConversionStatus,
  changes: Readonly<Record<string, string | undefined>> = {},
): Callback {
  return {
    status,
    params: params({ conversion: status, goal_complete: '0', ...changes }),
    extra: {},
    repairs: [],
    scope: '',
    receivedAt: 0,
  }
}

/** The claim that a callback starts if nothing is recorded of its order. */
function headOf(callback: Callback): ClaimHead {
  const identity = identityOf(callback)
  const people = peopleOf(callback)
  return { id: identity, identity, peopleHash: hashOfPeople(identity, people), ...people }
}

/** Applies one callback to a record, with the pure rules that every inbox uses. */
export function receive(record: ClaimRecord | undefined, callback: Callback) {
  const decision = decide(record, callback)
  const { outcome, events, previous } = decision
  return { outcome, events, previous, ...applyDecision(record ?? headOf(callback), record, callback, decision) }
}

/** The record after several callbacks. Each may name the state in which its deliveries end; the default is `done`. */
export function recordOf(
  ...steps: readonly (Callback | readonly [Callback, Readonly<Partial<Record<DeliveryKey, DeliveryState>>>])[]
): ClaimRecord {
  let record: ClaimRecord | undefined
  for (const step of steps) {
    const [callback, states] = 'status' in step ? [step, {}] : step
    const applied = receive(record, callback)
    record = applied.keys.reduce((changed, key) => bring(changed, key, states[key] ?? 'done'), applied.record)
  }
  if (record === undefined) throw new Error('a record needs a callback')
  return record
}

/** Claims a delivery when its turn comes, and settles it. */
function bring(record: ClaimRecord, key: DeliveryKey, state: DeliveryState): ClaimRecord {
  if (state === 'waiting') return record
  const claimed = claim(record, key, {
    handlers: { has: () => true },
    hasConfirm: false,
    owner: 'test',
    now: 0,
    holders: new Map(),
  })
  if (claimed.delivery === undefined || state === 'running') return claimed.record
  const fixed = claimed.delivery.reversal ? 'reversal' : claimed.delivery.event
  if (state === 'done' || state === 'refused')
    return settle(claimed.record, fixed, { state }, { now: 0, random: 0, maxAttempts: 12, maxHoldMs: 0 })
  const delivery = findDelivery(claimed.record, fixed)
  return {
    ...claimed.record,
    deliveries: claimed.record.deliveries.map((each) => (each === delivery ? { ...each, state } : each)),
  }
}
