import { ConversionWebhookError, type ReplayFault } from '../../errors.js'
import { replayed, withdrawOvertaken } from '../delivery.js'
import type { InboxHost } from '../inbox.js'
import { decide, isSuccess } from '../ledger.js'
import { claimOfConflict, mayWait } from '../quarantine.js'
import type { ConflictRecord, QuarantinedCallback, RefusedRecord } from '../quarantine.js'
import { requireId } from './queries.js'
import {
  applyDecision,
  findDelivery,
  lacksPayload,
  keyOf,
  logged,
  ordersOf,
  splitDeliveryId,
  withDelivery,
} from '../records.js'
import type { Delivery, DeliveryKey } from '../records.js'
import type { Store } from '../store.js'
import type { Contradiction } from '../vocabulary.js'
import { recordDecided, recordIn } from '../transitions.js'
import { identityOf, peopleOf } from '../claims.js'
import { otherHolders, type Holder } from '../reservation.js'

/** `replay` over any store: marks a delivery or a quarantined callback for one more try, then calls `wake`. */
export function replayer(store: Store, wake: (identity?: string) => void) {
  let last: Promise<unknown> = Promise.resolve()
  /** Replays one callback after another, since each replay first checks how many callbacks wait. */
  const inTurn = (id: string): Promise<string | undefined> => {
    const replaying = last.then(() => replayQuarantined(store, id))
    last = replaying.catch(() => undefined)
    return replaying
  }
  return async (id: string): Promise<void> => {
    requireId(id)
    const [claim, key] = splitDeliveryId(id)
    wake(key === undefined ? await inTurn(id) : await replayDelivery(store, claim, key))
  }
}

function replayDelivery(store: Store, claim: string, key: DeliveryKey): Promise<string> {
  return store.change({
    claim,
    apply: ({ record, holders }) => {
      const delivery = record && findDelivery(record, key)
      if (record === undefined || delivery === undefined) throw unknownRecord()
      if (!['dead', 'refused', 'waiting'].includes(delivery.state)) throw impossible({ state: delivery.state })
      if (lacksPayload(delivery.callback)) throw impossible({ why: 'emptied' })
      const next = replayed(record, delivery, holders, Date.now())
      if (next.takesOrder === true) requireNoneRunning(otherHolders(ordersOf(record), record.id, holders))
      return { record: withDelivery(record, key, next), result: claim }
    },
  })
}

/** Throws while a delivery runs of the claim that has the order: its handler may be paying. */
function requireNoneRunning(others: readonly Holder[]): void {
  if (others.some(({ isRunning }) => isRunning)) throw impossible({ why: 'holderRuns' })
}

async function replayQuarantined(store: Store, id: string): Promise<string | undefined> {
  const quarantined = await store.quarantined(id)
  if (quarantined === undefined) throw unknownRecord()
  if (quarantined.kind === 'conflict') {
    const claim = claimOfConflict(id)
    return claim === undefined ? replayAsClaim(store, quarantined) : replayInto(store, claim, quarantined)
  }
  const { received, state } = quarantined
  if (received.digest) throw impossible({ why: 'digest' })
  if (state === 'refused' && !mayWait(await store.waitingInQuarantine(), store.quarantineBudget)) {
    throw impossible({ why: 'tooMany' })
  }
  return store.change({
    quarantined: id,
    apply: ({ quarantined: found }) => {
      if (found?.kind !== 'refused') throw unknownRecord() // dropped meanwhile
      return { quarantined: { ...found, ...replayedAgain(found), state: 'waiting' }, result: undefined }
    },
  })
}

/** Records a conflict for the claim that it agrees with, even if another claim has the order by now: the person was shown this claim. */
function replayInto(store: Store, claim: string, { id, callback }: ConflictRecord): Promise<string> {
  return store.change({
    quarantined: id,
    claim,
    apply: ({ quarantined, record }) => {
      if (quarantined?.kind !== 'conflict') throw unknownRecord()
      const done = { ...quarantined, ...replayedAgain(quarantined), state: 'done' as const }
      if (record === undefined) throw impossible({ why: 'claimGone' })
      const decided = recordDecided(record, callback)
      if (decided === undefined) throw impossible({ why: 'contradicts' })
      return { quarantined: done, record: withdrawOvertaken(decided, Date.now()), result: claim }
    },
  })
}

/** Records a conflict that agrees with no claim, or with several, as a new claim, which takes the order. */
function replayAsClaim(store: Store, { id, callback, identity }: ConflictRecord): Promise<string> {
  const people = peopleOf(callback)
  return store.change({
    quarantined: id,
    claim: id,
    callback: { identity, people },
    apply: ({ quarantined, record, holders }) => {
      if (quarantined?.kind !== 'conflict') throw unknownRecord()
      const done = { quarantined: { ...quarantined, ...replayedAgain(quarantined), state: 'done' as const } }
      // The claim exists already if the same conflict was replayed before, was dropped from the quarantine, and came again.
      const head = record ?? { id, identity, ...people }
      const others = callback.status === 'success' ? otherHolders(ordersOf(head), id, holders) : []
      requireNoneRunning(others)
      const applied = applyDecision(head, record, callback, decide(record, callback))
      // If no claim has the order, nothing is taken: the person has not seen the claim that gets the order later.
      const takes = (each: Delivery) => others.length > 0 && isSuccess(each) && applied.keys.includes(keyOf(each))
      const deliveries = applied.record.deliveries.map((each) => (takes(each) ? { ...each, takesOrder: true } : each))
      return { ...done, record: { ...applied.record, deliveries }, result: id }
    },
  })
}

/** The log with one more replay. Throws if a replay has recorded the callback already. */
function replayedAgain({ state, log }: QuarantinedCallback) {
  if (state === 'done') throw impossible({ why: 'again' })
  return { log: logged(log, { at: Date.now(), what: 'replayed' }) }
}

/**
 * Checks a replayed callback again, and records it by the ledger or refuses it again. Resolves with the claim that it was recorded for;
 * undefined if it was refused, if it contradicts what is recorded, or if another process was faster.
 */
export async function rereadQuarantined(
  store: Store,
  refused: RefusedRecord,
  host: InboxHost,
): Promise<string | undefined> {
  const reread = host.reread(refused)
  if (!reread.ok) {
    const { code, issues } = reread
    return store.change({
      quarantined: refused.id,
      apply: ({ quarantined }) => {
        if (!isToBeRead(quarantined)) return { result: undefined }
        const log = logged(quarantined.log, { at: Date.now(), what: 'refused', code })
        return { quarantined: { ...quarantined, state: 'refused', code, issues, log }, result: undefined }
      },
    })
  }
  const { callback } = reread
  const identity = identityOf(callback)
  const { claim, contradiction } = await store.change<{ claim?: string; contradiction?: Contradiction }>({
    quarantined: refused.id,
    callback: { identity, people: peopleOf(callback) },
    apply: ({ quarantined, claims, holders }) => {
      if (!isToBeRead(quarantined)) return { result: {} }
      const recording = recordIn(claims, holders.get(identity)?.claim, identity, callback)
      const done = { quarantined: { ...quarantined, state: 'done', identity }, counted: recording.outcome } as const
      if (recording.outcome === 'conflict') {
        const { conflict, contradiction: found } = recording
        return { ...done, conflict, result: { contradiction: found } }
      }
      const record = withdrawOvertaken(recording.record, Date.now())
      return { ...done, record, result: { claim: record.id } }
    },
  })
  if (contradiction) host.onConflict({ callback, ...contradiction })
  return claim
}

function isToBeRead(quarantined: QuarantinedCallback | undefined): quarantined is RefusedRecord {
  return quarantined?.kind === 'refused' && quarantined.state === 'waiting'
}

export function unknownRecord(): ConversionWebhookError {
  return new ConversionWebhookError('ERR_CONVERSION_RECORD_UNKNOWN')
}

function impossible(values: ReplayFault): ConversionWebhookError {
  return new ConversionWebhookError('ERR_CONVERSION_REPLAY_IMPOSSIBLE', { values })
}
