import { ConversionWebhookError } from '../../errors.js'
import { addressFinder } from './addresses.js'
import { textsOfQuarantined, textsOfRecord, textsOfRecorded } from './mentions.js'
import { ShortTurns, Portions } from '../../util/short-turns.js'
import { receivedAtOf, withoutRecorded } from '../quarantine.js'
import { fieldsOfQuery, invalidQuery, requireAddresses } from './queries.js'
import { emptied, lacksPayload, isUnsettled, withoutScope, type ClaimRecord } from '../records.js'
import type { Erased, Pruned } from '../operators.js'
import { isOfStoredValue, type Portion, type Settled, type Store, type Unread } from '../store.js'
import type { Difference } from '../vocabulary.js'

const dayMs = 86_400_000
const recordsAtOnce = 200
/** Fewer than records, since quarantined callbacks may be long. */
const quarantinedAtOnce = 50
/** How many ids the message of an error lists. */
const maxIds = 10

/** Claims and quarantined callbacks that stay as they are because they cannot be read, by id. */
class Left {
  readonly #errors = new Map<string, ConversionWebhookError>()

  /** Returns whether something was read; remembers it if not. */
  isRead<Found extends { readonly id: string; readonly unread?: never } | Unread>(
    found: Found,
  ): found is Exclude<Found, Unread> {
    if (found.unread === undefined) return true
    this.#errors.set(found.id, found.unread)
    return false
  }

  /** Rejects the operator when the rest is done: what is left may hold what the operator was to remove. */
  throwIfAny(): void {
    const [first] = this.#errors.values()
    if (first === undefined) return
    const ids = [...this.#errors.keys()]
    const listed = ids.slice(0, maxIds).join(', ') + (ids.length > maxIds ? ', …' : '')
    const what = `${String(ids.length)} of the claims and quarantined callbacks cannot be read and stay as they are, all others are done (${listed})`
    const values = { what, must: first.message }
    throw new ConversionWebhookError('ERR_CONVERSION_INBOX_CORRUPT', { values, cause: first })
  }
}

/** `prune` over any store. */
export function pruner(store: Store) {
  return async (options: { readonly olderThanDays: number }): Promise<Pruned> => {
    const { olderThanDays } = fieldsOfQuery(options, ['olderThanDays'])
    if (typeof olderThanDays !== 'number' || !(olderThanDays >= 0)) {
      throw invalidQuery('olderThanDays', 'be a number, 0 or more')
    }
    const before = Date.now() - olderThanDays * dayMs
    const prune = (record: ClaimRecord) => {
      const isPruned = record.deliveries.every(({ callback }) => lacksPayload(callback))
      return isOldEnough(record, before) && !isPruned ? emptied(record) : undefined
    }
    let pruned = 0
    const left = new Left()
    const portions = new Portions()
    const pace = new ShortTurns()
    for await (const records of portionsOf((after?: Settled) => store.settled(before, after, recordsAtOnce))) {
      const ids = records.filter((record) => left.isRead(record) && prune(record)).map(({ id }) => id)
      const done = await portions.each(ids, (id) => rewrite(store, left, id, prune))
      pruned += done.filter(Boolean).length
      await pace.step()
    }
    for await (const quarantined of allQuarantined(store, left)) {
      if (receivedAtOf(quarantined) < before) await store.drop(quarantined.id)
    }
    left.throwIfAny()
    return { pruned }
  }
}

/** `erase` over any store. Drops the payload of each claim that mentions an address, and its scope if the scope mentions one. */
export function eraser(store: Store) {
  return async (person: { readonly email: string | readonly string[] }): Promise<Erased> => {
    const { email } = fieldsOfQuery(person, ['email'])
    const mentions = addressFinder(requireAddresses(email))
    const isPersonal = (scope: string) => mentions({ emails: [], others: [scope] })
    const isRecorded = (difference: Difference) => mentions(textsOfRecorded(difference))
    const erase = (record: ClaimRecord) =>
      record.deliveries.some(isUnsettled) ? undefined : withoutScope(emptied(record), isPersonal)
    let erased = 0
    const waiting: string[] = []
    const left = new Left()
    // The quarantine comes first: a callback that a replay records meanwhile is in `waiting` already, or is found among the records.
    for await (const quarantined of allQuarantined(store, left)) {
      const { id } = quarantined
      if (mentions(textsOfQuarantined(quarantined))) {
        if (await store.drop(id)) erased++
        else if (await store.quarantined(id)) waiting.push(id)
      } else if (quarantined.kind === 'conflict' && quarantined.differs.some(isRecorded)) {
        await forgetRecorded(store, id, isRecorded)
      }
    }
    const portions = new Portions()
    const pace = new ShortTurns()
    for await (const records of portionsOf((after?: string) => store.records(after, recordsAtOnce))) {
      const ids: string[] = []
      for (const record of records) {
        if (left.isRead(record) && mentions(textsOfRecord(record))) ids.push(record.id)
        await pace.step()
      }
      const done = await portions.each(ids, (id) => rewrite(store, left, id, erase))
      erased += done.filter(Boolean).length
      waiting.push(...ids.filter((_id, index) => done[index] !== true))
    }
    await store.scrub()
    left.throwIfAny()
    return { erased, waiting }
  }
}

/** Whether all deliveries were settled before a time, and no callback came since. A dead delivery may still be replayed. */
function isOldEnough({ deliveries }: ClaimRecord, before: number): boolean {
  return deliveries.every(
    ({ state, settledAt, callback }) =>
      ['done', 'withdrawn', 'refused'].includes(state) && (settledAt ?? 0) < before && callback.receivedAt < before,
  )
}

/** Drops the personal recorded values of another claim from a conflict. */
function forgetRecorded(store: Store, id: string, isPersonal: (difference: Difference) => boolean): Promise<void> {
  return store.change({
    quarantined: id,
    apply: ({ quarantined }) => ({
      quarantined: quarantined?.kind === 'conflict' ? withoutRecorded(quarantined, isPersonal) : undefined,
      result: undefined,
    }),
  })
}

/**
 * Applies `change` to the record as it is inside the transaction. Resolves with whether anything was written: not if `change` returns
 * undefined, nor if the record can no longer be read.
 */
function rewrite(
  store: Store,
  left: Left,
  claim: string,
  change: (record: ClaimRecord) => ClaimRecord | undefined,
): Promise<boolean> {
  const rewriting = store.change({
    claim,
    apply: ({ record: found }) => {
      const record = found && change(found)
      return record ? { record, result: true } : { result: false }
    },
  })
  return rewriting.catch((error: unknown) => {
    if (!isOfStoredValue(error)) throw error
    return left.isRead({ id: claim, unread: error })
  })
}

/** All portions that `read` reads, each after the end of the one before. */
async function* portionsOf<Found, After>(read: (after?: After) => Promise<Portion<Found, After>>) {
  let after: After | undefined
  do {
    const { found, last } = await read(after)
    yield found
    after = last
  } while (after !== undefined)
}

/** All quarantined callbacks that can be read, one by one; new callbacks are answered in between. */
async function* allQuarantined(store: Store, left: Left) {
  const pace = new ShortTurns()
  for await (const found of portionsOf((after?: number) => store.allQuarantined(after, quarantinedAtOnce))) {
    for (const quarantined of found) {
      if (left.isRead(quarantined)) yield quarantined
      await pace.step()
    }
  }
}
