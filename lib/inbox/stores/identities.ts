import { ConversionWebhookError } from '../../errors.js'
import { isSettled } from '../delivery.js'
import type { IdentityRecord } from '../records.js'

const maxIdentities = 10_000

/** A record in memory, and what is under way for it. */
export interface Identity<Work> {
  record: IdentityRecord
  /** Absent while nothing is under way. */
  work: Work | undefined
}

/** The identities that a process remembers: 10,000 of them, the settled ones give way in the order in which they came to rest. */
export class Identities<Work> {
  readonly #identities = new Map<string, Identity<Work>>()
  /** The ids of those without an unsettled delivery or work; `#oldest` goes through them. */
  readonly #settled = new Set<string>()
  readonly #oldest = this.#settled.values()

  find(id: string): Identity<Work> | undefined {
    return this.#identities.get(id)
  }

  *records(): Generator<IdentityRecord> {
    for (const { record } of this.#identities.values()) yield record
  }

  /** Throws `ERR_CONVERSION_INBOX_FULL` where all of them are unsettled. */
  makeRoom(): void {
    if (this.#identities.size < maxIdentities) return
    // The iterator goes on where it was, and what it passed is gone: while there are settled ones, they are ahead of it.
    const oldest = this.#settled.size > 0 ? this.#oldest.next().value : undefined
    if (oldest === undefined) throw new ConversionWebhookError('ERR_CONVERSION_INBOX_FULL')
    this.#settled.delete(oldest)
    this.#identities.delete(oldest)
  }

  add(record: IdentityRecord): Identity<Work> {
    const identity = { record, work: undefined }
    this.#identities.set(record.id, identity)
    return identity
  }

  change(identity: Identity<Work>, record: IdentityRecord): void {
    identity.record = record
    if (identity.work === undefined && isSettled(record)) this.#settled.add(record.id)
    else this.#settled.delete(record.id)
  }

  /** The record of an identity that may be new. */
  put(record: IdentityRecord): void {
    const known = this.#identities.get(record.id)
    if (known === undefined) this.makeRoom()
    this.change(known ?? this.add(record), record)
  }
}
