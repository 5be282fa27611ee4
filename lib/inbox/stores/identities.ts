import { ConversionWebhookError } from '../../errors.js'
import { isSettled } from '../delivery.js'
import { Line } from '../line.js'
import type { Size } from '../quarantine.js'
import type { IdentityRecord } from '../records.js'
import { weighsAs, weightOf } from '../weight.js'

/** A record in memory, and what is under way for it. */
export interface Identity<Work> {
  readonly record: IdentityRecord
  /** Absent while nothing is under way. */
  readonly work: Work | undefined
}

interface Entry<Work> extends Identity<Work> {
  record: IdentityRecord
  work: Work | undefined
  /** Bytes that its record takes, as estimated. */
  weight: number
  /** Where it stands while it may give way. */
  line: Line<string> | undefined
}

/** What the memory inbox remembers of conversions. */
export const memoryRoom: Size = { rows: 10_000, bytes: 64 * 1_048_576 }

/**
 * The identities that a process remembers. When there is no room left, settled ones give way, then those that wait for nothing but a
 * repeat, each in the order in which they came to rest; never one that something is under way for.
 */
export class Identities<Work> {
  readonly #room: Size
  readonly #identities = new Map<string, Entry<Work>>()
  #bytes = 0
  /** The ids of those that may give way. */
  readonly #settled = new Line<string>()
  readonly #waiting = new Line<string>()

  constructor(room: Size) {
    this.#room = room
  }

  /** The bytes that all records take, as estimated. */
  get bytes(): number {
    return this.#bytes
  }

  find(id: string): Identity<Work> | undefined {
    return this.#identities.get(id)
  }

  *records(): Generator<IdentityRecord> {
    for (const { record } of this.#identities.values()) yield record
  }

  /**
   * Records what a callback made of an identity, and that something is under way for it if `work` is given.
   * Throws `ERR_CONVERSION_INBOX_FULL` where there is no room for it, and nothing gives way.
   */
  put(record: IdentityRecord, work?: Work): Identity<Work> {
    const known = this.#identities.get(record.id)
    const weight = weightAfter(known, record)
    if (known === undefined || weight > known.weight) {
      if (known) this.#enter(known, undefined) // it does not give way to itself
      const growth = weight - (known?.weight ?? 0)
      if (!this.#makeRoom(known ? 0 : 1, growth)) {
        if (known) this.#queue(known)
        throw new ConversionWebhookError('ERR_CONVERSION_INBOX_FULL')
      }
    }
    const entry = known ?? { record, work: undefined, weight: 0, line: undefined }
    if (known === undefined) this.#identities.set(record.id, entry)
    entry.work ??= work
    this.#write(entry, record, weight)
    return entry
  }

  /** Records what became of an identity meanwhile; others give way where it takes more now. */
  change(identity: Identity<Work>, record: IdentityRecord): void {
    const entry = this.#identities.get(record.id)
    if (entry === undefined || entry !== identity) return // it gave way when nothing was under way any more
    const { weight } = entry
    this.#write(entry, record, weightAfter(entry, record))
    if (entry.weight > weight) this.#makeRoom(0, 0)
  }

  /** What is under way for it from now on; nothing where `work` is undefined. */
  setWork(identity: Identity<Work>, work: Work | undefined): void {
    const entry = this.#identities.get(identity.record.id)
    if (entry === undefined || entry !== identity) return
    entry.work = work
    this.#queue(entry)
  }

  #write(entry: Entry<Work>, record: IdentityRecord, weight: number): void {
    this.#bytes += weight - entry.weight
    entry.record = record
    entry.weight = weight
    this.#queue(entry)
  }

  /** Puts an identity into the line that it belongs to, if any. */
  #queue(entry: Entry<Work>): void {
    const mayGiveWay = entry.work === undefined
    this.#enter(entry, mayGiveWay ? (isSettled(entry.record) ? this.#settled : this.#waiting) : undefined)
  }

  /** Where it stands in the line already, it keeps its place. */
  #enter(entry: Entry<Work>, line: Line<string> | undefined): void {
    if (entry.line === line) return
    entry.line?.delete(entry.record.id)
    entry.line = line
    line?.add(entry.record.id)
  }

  #makeRoom(rows: number, bytes: number): boolean {
    while (this.#identities.size + rows > this.#room.rows || this.#bytes + bytes > this.#room.bytes) {
      const oldest = this.#settled.shift() ?? this.#waiting.shift()
      if (oldest === undefined) return false
      this.#bytes -= this.#identities.get(oldest)?.weight ?? 0
      this.#identities.delete(oldest)
    }
    return true
  }
}

function weightAfter(known: Entry<unknown> | undefined, record: IdentityRecord): number {
  return known && weighsAs(record, known.record) ? known.weight : weightOf(record)
}
