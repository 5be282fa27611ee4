import type { Callback } from '../../callback/conversion.js'
import { ConversionWebhookError } from '../../errors.js'
import { textsOfArrival } from '../operators/mentions.js'
import { rivalIds, hashOfPeople } from '../claims.js'
import { isSettled } from '../delivery.js'
import { Line } from '../../util/line.js'
import type { Size } from '../quarantine.js'
import type { ClaimRecord, People } from '../records.js'
import { Rivals } from './memory-rivals.js'
import { holderOf, type Holder } from '../reservation.js'

/** A claim in memory, and what is under way for it. */
export interface MemoryClaim<Work> {
  readonly record: ClaimRecord
  /** Absent while nothing is under way. */
  readonly work: Work | undefined
}

interface Entry<Work> extends MemoryClaim<Work> {
  record: ClaimRecord
  work: Work | undefined
  /** Bytes that its record takes, as estimated. */
  weight: number
  /** Where it stands while it may give way. */
  line: Line<Entry<Work>> | undefined
  /** The orders that were reserved for it. */
  orders: readonly string[]
}

/** What the memory inbox remembers of conversions. */
export const memoryRoom: Size = { rows: 10_000, bytes: 64 * 1_048_576 }

/**
 * The claims that a process remembers, and which of them have which orders. When there is no room left, settled ones give way, then those
 * that wait for nothing but a repeat, each in the order in which they came to rest; never one that something is under way for. The orders
 * of a claim are forgotten with it.
 */
export class MemoryClaims<Work> {
  readonly #room: Size
  readonly #claims = new Map<string, Entry<Work>>()
  readonly #rivals = new Rivals()
  /** By the order's identity, the claim that has it. */
  readonly #holders = new Map<string, Entry<Work>>()
  #bytes = 0
  /** Those that may give way. */
  readonly #settled = new Line<Entry<Work>>()
  readonly #waiting = new Line<Entry<Work>>()

  constructor(room: Size) {
    this.#room = room
  }

  /** The bytes that all records take, as estimated. */
  get bytes(): number {
    return this.#bytes
  }

  find(id: string): MemoryClaim<Work> | undefined {
    return this.#claims.get(id)
  }

  /** The oldest claims of an identity, the first one first. */
  claimsOf(identity: string, limit: number): readonly ClaimRecord[] {
    return this.#recordsOf([identity, ...[...this.#rivals.of(identity)].reverse()], identity).slice(0, limit)
  }

  /** The claims of an identity that `belongsTo` needs for a callback of these people. */
  claimsFor(identity: string, peopleOf: () => People): readonly ClaimRecord[] {
    const [rival] = this.#rivals.of(identity, 1)
    if (rival === undefined) {
      const first = this.#claims.get(identity)
      return first ? [first.record] : []
    }
    const people = peopleOf()
    const holder = this.#holders.get(identity)?.record.id ?? identity
    const free = rivalIds(identity, hashOfPeople(identity, people))
    // Any rival says that there are claims, where the first one has given way.
    return this.#recordsOf([identity, holder, rival, ...free, ...this.#rivals.for(identity, people)], identity)
  }

  #recordsOf(ids: readonly string[], identity: string): readonly ClaimRecord[] {
    const found = [...new Set(ids)].map((id) => this.#claims.get(id)?.record).filter((record) => record !== undefined)
    return found.filter((record) => record.identity === identity)
  }

  holder(order: string): Holder | undefined {
    const entry = this.#holders.get(order)
    return entry && holderOf(entry.record)
  }

  /** Orders that a claim has from now on, whoever had them before. */
  reserve(claim: string, orders: readonly string[]): void {
    const entry = this.#claims.get(claim)
    if (entry === undefined) return
    for (const order of orders) {
      const before = this.#holders.get(order)
      if (before) before.orders = before.orders.filter((other) => other !== order)
      this.#holders.set(order, entry)
    }
    if (orders.length > 0) entry.orders = [...entry.orders, ...orders]
  }

  *records(): Generator<ClaimRecord> {
    for (const { record } of this.#claims.values()) yield record
  }

  /**
   * Records what a callback made of an identity, and that something is under way for it if `work` is given.
   * Throws `ERR_CONVERSION_INBOX_FULL` where there is no room for it, and nothing gives way.
   */
  put(record: ClaimRecord, work?: Work): MemoryClaim<Work> {
    const known = this.#claims.get(record.id)
    const weight = weightAfter(known, record)
    if (known === undefined || weight > known.weight) {
      if (known) this.#enter(known, undefined) // it does not give way to itself
      const growth = weight - (known?.weight ?? 0)
      if (!this.#makeRoom(known ? 0 : 1, growth)) {
        if (known) this.#queue(known)
        throw new ConversionWebhookError('ERR_CONVERSION_INBOX_FULL')
      }
    }
    const entry: Entry<Work> = known ?? { record, work: undefined, weight: 0, line: undefined, orders: [] }
    if (known === undefined) {
      this.#claims.set(record.id, entry)
      this.#putRival(record)
    }
    entry.work ??= work
    this.#write(entry, record, weight)
    return entry
  }

  #putRival(record: ClaimRecord): void {
    if (record.id !== record.identity) this.#rivals.put(record)
  }

  #remove({ record: { id }, weight, orders }: Entry<Work>): void {
    this.#bytes -= weight
    this.#claims.delete(id)
    this.#rivals.delete(id)
    for (const order of orders) this.#holders.delete(order)
  }

  /** Records what became of a claim meanwhile; others give way where it takes more now. */
  change(identity: MemoryClaim<Work>, record: ClaimRecord): void {
    if (identity.record === record) return
    const entry = this.#claims.get(record.id)
    if (entry === undefined || entry !== identity) return // it gave way when nothing was under way any more
    const { weight } = entry
    this.#write(entry, record, weightAfter(entry, record))
    if (entry.weight > weight) this.#makeRoom(0, 0)
  }

  /** What is under way for it from now on; nothing where `work` is undefined. */
  setWork(identity: MemoryClaim<Work>, work: Work | undefined): void {
    const entry = this.#claims.get(identity.record.id)
    if (entry === undefined || entry !== identity) return
    entry.work = work
    this.#queue(entry)
  }

  #write(entry: Entry<Work>, record: ClaimRecord, weight: number): void {
    this.#bytes += weight - entry.weight
    if (!isFoundAlike(entry.record, record)) this.#putRival(record)
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
  #enter(entry: Entry<Work>, line: Line<Entry<Work>> | undefined): void {
    if (entry.line === line) return
    entry.line?.delete(entry)
    entry.line = line
    line?.add(entry)
  }

  #makeRoom(rows: number, bytes: number): boolean {
    while (this.#claims.size + rows > this.#room.rows || this.#bytes + bytes > this.#room.bytes) {
      const oldest = this.#settled.shift() ?? this.#waiting.shift()
      if (oldest === undefined) return false
      this.#remove(oldest)
    }
    return true
  }
}

function weightAfter(known: Entry<unknown> | undefined, record: ClaimRecord): number {
  return known && weighsAs(record, known.record) ? known.weight : weightOf(record)
}

/** Whether two claims are found in the same places. */
function isFoundAlike(one: ClaimRecord, other: ClaimRecord): boolean {
  return (
    one.peopleHash === other.peopleHash &&
    one.referrerEmail === other.referrerEmail &&
    one.refereeEmail === other.refereeEmail
  )
}

/* Estimates of the memory that records take: two bytes per character, and a fixed number per object, rather too many than too few. */

const bytesPerCharacter = 2
const bytesPerText = 64
const bytesPerDelivery = 512
const bytesPerRecord = 1_024
/** For the index entries by which rivals are found, besides their ids. */
const bytesPerRival = 1_024

/** @internal */
export function weightOf({ id, identity, scope, referrerEmail, refereeEmail, deliveries }: ClaimRecord): number {
  let weight = bytesPerRecord + scope.length * bytesPerCharacter
  if (id !== identity) weight += bytesPerRival + weightOfText(referrerEmail) + weightOfText(refereeEmail)
  let previous: Callback | undefined
  for (const { callback, log } of deliveries) {
    weight += bytesPerDelivery
    if (callback !== previous) weight += weightOfCallback(callback) // success and goalComplete share theirs
    previous = callback
    for (const { message } of log) weight += 2 * bytesPerText + weightOfText(message)
  }
  return weight
}

/** Whether two records certainly weigh the same. True after most changes, which touch only states and counts: then none is weighed. @internal */
export function weighsAs({ deliveries }: ClaimRecord, { deliveries: others }: ClaimRecord): boolean {
  if (deliveries === others) return true
  if (deliveries.length !== others.length) return false
  for (let index = 0; index < deliveries.length; index++) {
    const [one, other] = [deliveries[index], others[index]]
    if (one?.callback !== other?.callback || one?.log !== other?.log) return false
  }
  return true
}

function weightOfCallback(callback: Callback): number {
  const { params, extra, repairs } = callback
  let weight = 0
  for (const text of textsOfArrival(callback)) weight += weightOfText(text)
  for (const text of Object.values(params)) weight += weightOfText(text)
  for (const name in extra) weight += weightOfText(name) + weightOfText(extra[name])
  for (const { parameter } of repairs) weight += weightOfText(parameter)
  return weight
}

function weightOfText(text: string | undefined): number {
  return text === undefined ? 0 : bytesPerText + text.length * bytesPerCharacter
}
