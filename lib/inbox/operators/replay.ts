import { ConversionWebhookError, type ReplayFault } from '../../errors.js'
import { replayed, withdrawOvertaken } from '../delivery.js'
import { otherHolders, type Holder } from '../holders.js'
import { identityOf, peopleOf } from '../identity.js'
import type { InboxHost, RereadResult } from '../inbox.js'
import { decide, isSuccess } from '../ledger.js'
import {
  claimOfConflict,
  mayWait,
  type ConflictRecord,
  type QuarantinedCallback,
  type RefusedRecord,
} from '../quarantine.js'
import { requireId } from './queries.js'
import {
  applyDecision,
  findDelivery,
  isEmptied,
  keyOf,
  logged,
  ordersOf,
  splitDeliveryId,
  withDelivery,
  type Delivery,
  type DeliveryKey,
} from '../records.js'
import type { Changed, Store } from '../store.js'
import type { Contradiction } from '../vocabulary.js'
import { recordDecided, recordIn } from '../transitions.js'

/** Marks a delivery or a quarantined callback for one more try. `wake` is called after that. */
export function replayer(store: Store, wake: (identity?: string) => void) {
  let last: Promise<unknown> = Promise.resolve()
  /** One after another: each looks at how much waits already. */
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

async function replayDelivery(store: Store, claim: string, key: DeliveryKey): Promise<string> {
  await store.change({
    claim,
    apply: ({ record, holders }) => {
      if (record === undefined) throw unknownRecord()
      const delivery = findDelivery(record, key)
      if (delivery === undefined) throw unknownRecord()
      if (!['dead', 'refused', 'waiting'].includes(delivery.state)) throw impossible({ state: delivery.state })
      if (isEmptied(delivery.callback)) throw impossible({ why: 'emptied' })
      const next = replayed(record, delivery, holders, Date.now())
      if (next.takes === true) requireRest(otherHolders(ordersOf(record), record.id, holders))
      return { record: withDelivery(record, key, next), result: undefined }
    },
  })
  return claim
}

/** An order is not moved away from a claim of which a delivery runs: it may be paying. */
function requireRest(others: readonly Holder[]): void {
  if (others.some(({ isRunning }) => isRunning)) throw impossible({ why: 'holderRuns' })
}

async function replayQuarantined(store: Store, id: string): Promise<string | undefined> {
  const quarantined = await store.quarantined(id)
  if (quarantined === undefined) throw unknownRecord()
  if (quarantined.kind === 'conflict') return replayConflict(store, quarantined)
  await requireReplayable(store, quarantined)
  await store.change({
    quarantined: id,
    apply: ({ quarantined: found }) => {
      if (found?.kind !== 'refused') throw unknownRecord() // it gave way meanwhile
      return { quarantined: { ...found, ...replayedAgain(found), state: 'waiting' }, result: undefined }
    },
  })
  return undefined
}

/** A person says that a conflict is right: it is of the claim that it agrees with, or a claim of its own, which takes the order. */
function replayConflict(store: Store, conflict: ConflictRecord): Promise<string> {
  const claim = claimOfConflict(conflict.id)
  return claim === undefined ? replayAsClaim(store, conflict) : replayInto(store, claim, conflict)
}

/** Records a conflict for the claim that it came to, whoever has the order by now: that is the claim which the person was shown. */
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

function replayAsClaim(store: Store, { id, callback, identity }: ConflictRecord): Promise<string> {
  const people = peopleOf(callback)
  return store.change({
    quarantined: id,
    claim: id,
    callback: { identity, people },
    apply: ({ quarantined, record, holders }) => {
      if (quarantined?.kind !== 'conflict') throw unknownRecord()
      const done = { quarantined: { ...quarantined, ...replayedAgain(quarantined), state: 'done' as const } }
      // A claim was made of it before, where the same conflict came again after its row was dropped.
      const head = record ?? { id, identity, ...people }
      const others = callback.status === 'success' ? otherHolders(ordersOf(head), id, holders) : []
      requireRest(others)
      const applied = applyDecision(head, record, callback, decide(record, callback))
      // Where nobody has the order there is nothing to take, and who gets it later is none whom this person has seen.
      const takes = (each: Delivery) => others.length > 0 && isSuccess(each) && applied.keys.includes(keyOf(each))
      const deliveries = applied.record.deliveries.map((each) => (takes(each) ? { ...each, takes: true } : each))
      return { ...done, record: { ...applied.record, deliveries }, result: id }
    },
  })
}

/** The log of what is replayed. Throws where it was replayed already. */
function replayedAgain({ state, log }: QuarantinedCallback) {
  if (state === 'done') throw impossible({ why: 'again' })
  return { log: logged(log, { at: Date.now(), what: 'replayed' }) }
}

/** Throws where a refused callback cannot be read again, or too much waits for that already. */
async function requireReplayable(store: Store, { received, state }: RefusedRecord): Promise<void> {
  if (received.digest) throw impossible({ why: 'digest' })
  if (state !== 'refused' || mayWait(await store.waitingInQuarantine(), store.quarantineBudget)) return
  throw impossible({ why: 'tooMany' })
}

/**
 * Reads a replayed callback again and records it by the ledger, or refuses it once more. Resolves with the claim it was recorded as;
 * undefined where it was refused, contradicts what is recorded, or another process was faster.
 */
export async function rereadQuarantined(
  store: Store,
  refused: RefusedRecord,
  host: InboxHost,
): Promise<string | undefined> {
  const reread = host.reread(refused)
  if (!reread.ok) {
    await store.change({ quarantined: refused.id, apply: ({ quarantined }) => refuseAgain(quarantined, reread) })
    return undefined
  }
  const { callback } = reread
  const identity = identityOf(callback)
  const { claim, contradiction } = await store.change<Recorded>({
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
      return {
        ...done,
        record: withdrawOvertaken(recording.record, Date.now()),
        result: { claim: recording.record.id },
      }
    },
  })
  if (contradiction) host.onConflict({ callback, ...contradiction })
  return claim
}

function isToBeRead(quarantined: QuarantinedCallback | undefined): quarantined is RefusedRecord {
  return quarantined?.kind === 'refused' && quarantined.state === 'waiting'
}

function refuseAgain(
  quarantined: QuarantinedCallback | undefined,
  { code, issues }: Extract<RereadResult, { ok: false }>,
): Changed<undefined> {
  if (!isToBeRead(quarantined)) return { result: undefined }
  const log = logged(quarantined.log, { at: Date.now(), what: 'refused', code })
  return { quarantined: { ...quarantined, state: 'refused', code, issues, log }, result: undefined }
}

/** What a change made of a callback that was read again. */
interface Recorded {
  readonly claim?: string
  readonly contradiction?: Contradiction
}

export function unknownRecord(): ConversionWebhookError {
  return new ConversionWebhookError('ERR_CONVERSION_RECORD_UNKNOWN')
}

function impossible(values: ReplayFault): ConversionWebhookError {
  return new ConversionWebhookError('ERR_CONVERSION_REPLAY_IMPOSSIBLE', { values })
}
