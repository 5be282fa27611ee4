import type { Callback } from '../callback/conversion.js'
import { ConversionWebhookError } from '../errors.js'
import { replayed, withdrawOvertaken } from './delivery.js'
import { identityOf } from './identity.js'
import type { InboxHost } from './inbox.js'
import { decide, previousOf, type Previous } from './ledger.js'
import { conflictOf, mayWait, type RefusedRecord } from './quarantine.js'
import { requireId } from './queries.js'
import {
  applyDecision,
  findDelivery,
  isEmptied,
  logged,
  splitDeliveryId,
  withDelivery,
  type DeliveryKey,
} from './records.js'
import type { Store } from './store.js'

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
    const [identity, key] = splitDeliveryId(id)
    wake(key === undefined ? await inTurn(id) : await replayDelivery(store, identity, key))
  }
}

async function replayDelivery(store: Store, identity: string, key: DeliveryKey): Promise<string> {
  await store.change({
    identity,
    apply: ({ record }) => {
      if (record === undefined) throw unknownRecord()
      const delivery = findDelivery(record, key)
      if (delivery === undefined) throw unknownRecord()
      if (!['dead', 'refused', 'waiting'].includes(delivery.state)) throw impossible(`it is ${delivery.state}`)
      if (isEmptied(delivery.callback)) throw impossible('what was received of it has been dropped')
      return { record: withDelivery(record, key, replayed(delivery, Date.now())), result: undefined }
    },
  })
  return identity
}

async function replayQuarantined(store: Store, id: string): Promise<string | undefined> {
  const quarantined = await store.quarantined(id)
  if (quarantined === undefined) throw unknownRecord()
  const identity = quarantined.kind === 'conflict' ? id : undefined // a conversion of its own
  if (quarantined.kind === 'refused') await requireReplayable(store, quarantined)
  await store.change({
    quarantined: id,
    ...(identity !== undefined && { identity }),
    apply: ({ quarantined: found, record }) => {
      if (found === undefined) throw unknownRecord() // it gave way meanwhile
      if (found.state === 'done') throw impossible('it was replayed already')
      const log = logged(found.log, { at: Date.now(), what: 'replayed' })
      if (found.kind === 'refused') return { quarantined: { ...found, state: 'waiting', log }, result: undefined }
      const { callback } = found
      const applied = applyDecision(id, record, callback, decide(record, callback))
      return { quarantined: { ...found, state: 'done', log }, record: applied.record, result: undefined }
    },
  })
  return identity
}

/** Throws where a refused callback cannot be read again, or too much waits for that already. */
async function requireReplayable(store: Store, { received, state }: RefusedRecord): Promise<void> {
  if (received.digest) throw impossible('only its length and hash were kept')
  if (state !== 'refused' || mayWait(await store.waitingInQuarantine(), store.quarantineBudget)) return
  throw impossible('half of what the quarantine may hold waits already for a process with handlers')
}

/**
 * Reads a replayed callback again and records it by the ledger, or refuses it once more. Resolves with the identity it was recorded as;
 * undefined where it was refused, or another process was faster.
 */
export async function rereadQuarantined(
  store: Store,
  refused: RefusedRecord,
  host: InboxHost,
): Promise<string | undefined> {
  const reread = host.reread(refused)
  const found = reread.ok ? { ...reread, identity: identityOf(reread.callback) } : reread
  const { isRecorded, conflict } = await store.change<Reread>({
    quarantined: refused.id,
    ...(found.ok && { identity: found.identity }),
    apply: ({ quarantined, record }) => {
      if (quarantined?.kind !== 'refused' || quarantined.state !== 'waiting') return { result: { isRecorded: false } }
      if (!found.ok) {
        const { code, issues } = found
        const log = logged(quarantined.log, { at: Date.now(), what: 'refused', code })
        return { quarantined: { ...quarantined, state: 'refused', code, issues, log }, result: { isRecorded: false } }
      }
      const { callback, identity } = found
      const decision = decide(record, callback)
      const applied = applyDecision(identity, record, callback, decision)
      const isConflict = decision.outcome === 'conflict'
      return {
        record: withdrawOvertaken(applied.record, Date.now()),
        quarantined: { ...quarantined, state: 'done', identity },
        ...(isConflict && { conflict: conflictOf(identity, callback) }),
        counted: decision.outcome,
        result: {
          isRecorded: true,
          ...(isConflict && { conflict: { callback, recorded: previousOf(applied.record) } }),
        },
      }
    },
  })
  if (!found.ok) return undefined
  if (conflict) host.onConflict({ id: found.identity, ...conflict })
  return isRecorded ? found.identity : undefined
}

/** What a change made of a callback that was read again. */
interface Reread {
  readonly isRecorded: boolean
  readonly conflict?: { readonly callback: Callback; readonly recorded: Previous }
}

export function unknownRecord(): ConversionWebhookError {
  return new ConversionWebhookError('ERR_CONVERSION_RECORD_UNKNOWN')
}

function impossible(reason: string): ConversionWebhookError {
  return new ConversionWebhookError('ERR_CONVERSION_REPLAY_IMPOSSIBLE', {
    message: `This cannot be replayed: ${reason}.`,
  })
}
