import type { QuarantinedCallback } from '../quarantine.js'
import { ordersOf, type ClaimRecord } from '../records.js'
import { ordersFor, type Change, type Changed, type Found } from '../store.js'
import type { Queryable } from './postgres-client.js'
import type { PostgresQuarantine } from './postgres-quarantine.js'
import type { PostgresRows, Written } from './postgres-rows.js'
import { hashOfPeople } from '../claims.js'
import { holderOf, holdersBy, type Holder, type Holders } from '../reservation.js'

type AnyChange = Pick<Change<unknown>, 'claim' | 'callback' | 'order' | 'quarantined'>
type CallbackKey = NonNullable<AnyChange['callback']>

/** What one transaction read for all of its changes, and what the changes made of it. */
export class PostgresFound {
  readonly #before = new Map<string, ClaimRecord>()
  /** Claims as the changes until now left them. */
  readonly #after = new Map<string, ClaimRecord>()
  /** The ids of the claims of each identity. */
  readonly #claims = new Map<string, Set<string>>()
  /** Undefined for an order that was read and that no claim has. */
  readonly #holders = new Map<string, Holder | undefined>()
  /** The callbacks in quarantine as they were found. */
  readonly kept: ReadonlyMap<string, QuarantinedCallback>
  readonly quarantined: Map<string, QuarantinedCallback>
  /** The orders that the changes reserved, each with its claim. */
  readonly reserved = new Map<string, string>()

  private constructor(kept: ReadonlyMap<string, QuarantinedCallback>) {
    this.kept = kept
    this.quarantined = new Map(kept)
  }

  /** Locks everything that the changes need, in the same order in all processes, and reads it. */
  static async read(
    client: Queryable,
    rows: PostgresRows,
    quarantine: PostgresQuarantine,
    changes: readonly AnyChange[],
  ): Promise<PostgresFound> {
    const claims = changes.map(({ claim }) => claim).filter((id) => id !== undefined)
    const callbacks = changes.map(({ callback }) => callback).filter((callback) => callback !== undefined)
    const orders = changes.map(({ order }) => order).filter((order) => order !== undefined)
    const ids = changes.map(({ quarantined }) => quarantined).filter((id) => id !== undefined)
    const identities = callbacks.map(({ identity }) => identity)
    const asked = [...identities, ...orders, ...claims] // the id of an order's first claim is the order's identity
    // Sent at once and answered in this order, so that the reads happen under the lock.
    const [, kept, records, holders] = await Promise.all([
      rows.lock(client, [...claims, ...identities, ...orders, ...ids], claims),
      quarantine.lock(client, ids),
      rows.records(client, [...claims, ...identities]),
      rows.holders(client, asked),
    ])
    const found = new PostgresFound(kept)
    found.#addRecords(records.values())
    found.#addHolders(asked, holders)
    await found.#readRivals(client, rows, callbacks)
    const others = [...found.#before.values()].flatMap(ordersOf).filter((order) => !found.#holders.has(order))
    found.#addHolders(others, await rows.holders(client, [...new Set(others)]))
    return found
  }

  #addHolders(asked: readonly string[], holders: Holders): void {
    for (const order of asked) this.#holders.set(order, holders.get(order))
  }

  #addRecords(records: Iterable<ClaimRecord>): void {
    for (const record of records) {
      this.#before.set(record.id, record)
      this.#put(record)
    }
  }

  /** Most callbacks are new, or of the people of the first claim: then only the claim that has the order is needed besides. */
  async #readRivals(client: Queryable, rows: PostgresRows, callbacks: readonly CallbackKey[]): Promise<void> {
    const ids = new Set<string>()
    const saysMore = callbacks.filter(
      ({ identity, people }) => this.#before.get(identity)?.peopleHash !== hashOfPeople(identity, people),
    )
    const searched = new Set(saysMore.map(({ identity }) => identity))
    for (const { identity, people } of callbacks) {
      if (!this.#before.has(identity)) continue
      const holder = this.#holders.get(identity)
      if (holder) ids.add(holder.claim)
      if (!searched.has(identity)) continue // an earlier change may have given the first claim other people
      // Each earlier change may have given one more claim people that contradict.
      const agreeing = 1 + callbacks.filter((other) => other.identity === identity).length
      for (const id of await rows.rivals(client, identity, people, agreeing)) ids.add(id)
    }
    const unknown = [...ids].filter((id) => !this.#before.has(id))
    const identities = new Set(callbacks.map(({ identity }) => identity))
    const records = [...(await rows.records(client, unknown)).values()]
    this.#addRecords(records.filter(({ identity }) => identities.has(identity))) // a claim of another identity has the order under another spelling, and is not locked
  }

  find(change: AnyChange): Found {
    const { claim, callback, quarantined: id } = change
    const record = claim === undefined ? undefined : this.#after.get(claim)
    const quarantined = id === undefined ? undefined : this.quarantined.get(id)
    const ids = callback ? [...(this.#claims.get(callback.identity) ?? [])] : []
    const claims = ids.map((each) => this.#after.get(each)).filter((each) => each !== undefined)
    const holders = holdersBy(ordersFor(change, [record, ...claims]), (order) => {
      const holder = this.#holders.get(order)
      const holding = holder && this.#after.get(holder.claim)
      return holding ? holderOf(holding) : holder
    })
    return { claims, holders, ...(record && { record }), ...(quarantined && { quarantined }) }
  }

  /** Remembers what a change made. */
  put({ record, reserved = [], quarantined }: Changed<unknown>): void {
    if (record) {
      this.#put(record)
      for (const order of reserved) {
        this.reserved.set(order, record.id)
        this.#holders.set(order, holderOf(record))
      }
    }
    if (quarantined) this.quarantined.set(quarantined.id, quarantined)
  }

  get written(): readonly Written[] {
    return [...this.#after.values()].map((after) => ({ before: this.#before.get(after.id), after }))
  }

  #put(record: ClaimRecord): void {
    this.#after.set(record.id, record)
    const ids = this.#claims.get(record.identity) ?? new Set()
    this.#claims.set(record.identity, ids.add(record.id))
  }
}
