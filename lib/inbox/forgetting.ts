import { ConversionWebhookError } from '../errors.js'
import { emailKey } from './identity.js'
import { receivedAtOf } from './quarantine.js'
import { emptied, isEmptied, isUnsettled, textsOf, textsOfQuarantined, type IdentityRecord } from './records.js'
import type { Position, Store } from './store.js'

export interface Pruned {
  /** Conversions whose payload was dropped. */
  readonly pruned: number
}

export interface Erased {
  /** Conversions whose payload was dropped, and quarantined callbacks that were. */
  readonly erased: number
  /** Ids of identities and quarantined callbacks that mention the address and still wait: erase again when they have been delivered. */
  readonly waiting: readonly string[]
}

const dayMs = 86_400_000
const portion = 500

/** Drops the payloads of what came to rest before a time. */
export function pruner(store: Store) {
  return async ({ olderThanDays }: { readonly olderThanDays: number }): Promise<Pruned> => {
    if (typeof olderThanDays !== 'number' || !(olderThanDays >= 0)) {
      const message = 'olderThanDays is a number of days, 0 or more.'
      throw new ConversionWebhookError('ERR_CONVERSION_QUERY_INVALID', { message })
    }
    const before = Date.now() - olderThanDays * dayMs
    let pruned = 0
    for await (const record of allRecords(store)) {
      if (isOldEnough(record, before) && (await empty(store, record.id, (now) => isOldEnough(now, before)))) pruned++
    }
    for await (const quarantined of allQuarantined(store)) {
      if (quarantined.state !== 'waiting' && receivedAtOf(quarantined) < before) await store.drop([quarantined.id])
    }
    return { pruned }
  }
}

/** Drops the payloads of what mentions an address. */
export function eraser(store: Store) {
  return async ({ email }: { readonly email: string }): Promise<Erased> => {
    const address = typeof email === 'string' ? emailKey(email) : undefined
    if (!address?.includes('@')) {
      throw new ConversionWebhookError('ERR_CONVERSION_QUERY_INVALID', { message: 'email is an e-mail address.' })
    }
    const mentions = mentioning(address)
    let erased = 0
    const waiting: string[] = []
    for await (const { id } of allRecords(store, (record) => textsOf(record).some(mentions))) {
      if (await empty(store, id, (now) => !now.deliveries.some(isUnsettled))) erased++
      else waiting.push(id)
    }
    for await (const quarantined of allQuarantined(store)) {
      if (!textsOfQuarantined(quarantined).some(mentions)) continue
      if (quarantined.state === 'waiting') {
        waiting.push(quarantined.id)
      } else {
        await store.drop([quarantined.id])
        erased++
      }
    }
    await store.scrub()
    return { erased, waiting }
  }
}

/** Whether a text holds an address, as a whole: a longer one that ends or starts like it is another person's. */
function mentioning(address: string): (text: string) => boolean {
  const literal = address.replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&')
  const pattern = new RegExp(`(?<![\\p{L}\\p{N}._%+-])${literal}(?![\\p{L}\\p{N}_-]|\\.[\\p{L}\\p{N}])`, 'u')
  return (text) => pattern.test(text.toLowerCase())
}

/** Settled for good, and nothing happened to it since. */
function isOldEnough({ deliveries }: IdentityRecord, before: number): boolean {
  return deliveries.every(
    ({ state, settledAt, callback }) =>
      ['done', 'withdrawn', 'refused'].includes(state) && (settledAt ?? 0) < before && callback.receivedAt < before,
  )
}

/** Empties a record, where it still may be; false where it may not. */
function empty(store: Store, identity: string, mayBe: (record: IdentityRecord) => boolean): Promise<boolean> {
  return store.change({
    identity,
    apply: ({ record }) => {
      return record && mayBe(record) ? { record: emptied(record), result: true } : { result: false }
    },
  })
}

/** All records that hold something, in portions, so that callbacks come in between. */
async function* allRecords(store: Store, isWanted: (record: IdentityRecord) => boolean = () => true) {
  for (let after = ''; ;) {
    const page = await store.records(after, portion)
    for (const record of page) {
      if (!record.deliveries.every(({ callback }) => isEmptied(callback)) && isWanted(record)) yield record
    }
    const last = page.at(-1)
    if (last === undefined || page.length < portion) return
    after = last.id
  }
}

async function* allQuarantined(store: Store) {
  for (let before: Position | undefined; ;) {
    const page = await store.quarantine({ limit: portion, before })
    yield* page
    const last = page.at(-1)
    if (last === undefined || page.length < portion) return
    before = { id: last.id, receivedAt: receivedAtOf(last) }
  }
}
