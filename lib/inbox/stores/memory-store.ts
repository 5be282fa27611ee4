import type { QuarantinedCallback, QuarantineKind, Size } from '../quarantine.js'
import { isOver, keptWith, maxAgeMs, maxConflicts, receivedAtOf, scopeOf } from '../quarantine.js'
import { findDelivery, isHeld, splitDeliveryId, type Delivery } from '../records.js'
import { searchForms, soughtForms } from '../search.js'
import type { MemoryClaims } from './memory-claims.js'
import type { Change, DeliverySelection, QuarantineSelection, Store } from '../store.js'
import { maxClaims, pageOf } from '../store.js'
import type { Outcome } from '../vocabulary.js'
import { orderIdOf } from '../claims.js'
import { holdersBy, holdersOnce } from '../reservation.js'

const dayMs = 86_400_000
const bytesPerRow = 1_024

/** The quarantined callbacks of one kind, oldest first. */
interface Shelf {
  readonly rows: Map<string, { readonly quarantined: QuarantinedCallback; readonly bytes: number }>
  bytes: number
}

function frozenWhole<T>(value: T): T {
  if (typeof value === 'object' && value !== null) Object.values(value).forEach(frozenWhole)
  return Object.freeze(value)
}

/** The refused callbacks and conflicts that a process keeps in memory. */
export class MemoryQuarantine {
  readonly #budget: Size
  readonly #shelves: Readonly<Record<QuarantineKind, Shelf>> = {
    refused: { rows: new Map(), bytes: 0 },
    conflict: { rows: new Map(), bytes: 0 },
  }

  constructor(budget: Size) {
    this.#budget = budget
  }

  find(id: string): QuarantinedCallback | undefined {
    this.#limit()
    const { refused, conflict } = this.#shelves
    return (refused.rows.get(id) ?? conflict.rows.get(id))?.quarantined
  }

  /** Keeps a callback, or counts it. */
  keep(callback: QuarantinedCallback): void {
    this.write(keptWith(this.find(callback.id), callback))
  }

  write(quarantined: QuarantinedCallback): void {
    const { id, kind } = quarantined
    const shelf = this.#shelves[kind]
    const text = JSON.stringify(quarantined)
    const bytes = 2 * text.length + bytesPerRow
    shelf.bytes += bytes - (shelf.rows.get(id)?.bytes ?? 0)
    // A copy, since strings that were cut out of a request keep the whole request in memory; frozen, since listings show its parts.
    shelf.rows.set(id, { quarantined: frozenWhole(JSON.parse(text) as QuarantinedCallback), bytes })
    this.#limit()
  }

  drop(id: string): boolean {
    const found = this.find(id)
    if (found === undefined || found.state === 'waiting') return false
    this.#remove(this.#shelves[found.kind], id)
    return true
  }

  all(): QuarantinedCallback[] {
    this.#limit()
    return Object.values(this.#shelves).flatMap(({ rows }) => [...rows.values()].map(({ quarantined }) => quarantined))
  }

  waiting(): Size {
    const rows = [...this.#shelves.refused.rows.values()].filter(({ quarantined }) => quarantined.state === 'waiting')
    return { rows: rows.length, bytes: rows.reduce((sum, { bytes }) => sum + bytes, 0) }
  }

  #remove(shelf: Shelf, id: string): void {
    shelf.bytes -= shelf.rows.get(id)?.bytes ?? 0
    shelf.rows.delete(id)
  }

  /** Removes rows that are too old, and the oldest rows beyond the budget, but none that waits. */
  #limit(): void {
    const before = Date.now() - maxAgeMs
    for (const shelf of Object.values(this.#shelves)) {
      for (const [id, { quarantined }] of shelf.rows) {
        const size = { rows: shelf.rows.size, bytes: shelf.bytes }
        if (!isOver(size, this.#budget) && receivedAtOf(quarantined) >= before) break
        if (quarantined.state !== 'waiting') this.#remove(shelf, id)
      }
    }
  }
}

/** The store of a memory inbox: a change is made at once, and a query looks at all records. */
export class MemoryStore implements Store {
  readonly #identities: MemoryClaims<unknown>
  readonly #quarantine: MemoryQuarantine
  readonly #counts = { accepted: 0, duplicate: 0, stale: 0, conflict: 0, refused: 0 }
  readonly quarantineBudget: Size

  constructor(identities: MemoryClaims<unknown>, budget: Size) {
    this.#identities = identities
    this.quarantineBudget = budget
    this.#quarantine = new MemoryQuarantine(budget)
  }

  change<T>({ apply, ...change }: Change<T>): Promise<T> {
    const { claim, callback, quarantined: quarantinedId } = change
    return new Promise((resolve) => {
      const record = claim === undefined ? undefined : this.#identities.find(claim)?.record
      const claims = callback ? this.#identities.claimsFor(callback.identity, () => callback.people) : []
      const holders = holdersOnce((order) => this.#identities.holder(order))
      const quarantined = quarantinedId === undefined ? undefined : this.#quarantine.find(quarantinedId)
      const changed = apply({ claims, holders, ...(record && { record }), ...(quarantined && { quarantined }) })
      if (changed.record) {
        this.#identities.put(changed.record)
        this.#identities.reserve(changed.record.id, changed.reserved ?? [])
      }
      if (changed.quarantined) this.#quarantine.write(changed.quarantined)
      if (changed.conflict) this.keep(changed.conflict)
      if (changed.counted) this.count(changed.counted)
      resolve(changed.result)
    })
  }

  keep(callback: QuarantinedCallback): void {
    this.#quarantine.keep(callback)
  }

  count(outcome: Outcome): void {
    this.#counts[outcome]++
  }

  readonly record: Store['record'] = (claim) => Promise.resolve(this.#identities.find(claim)?.record)
  readonly claims: Store['claims'] = (identity) => Promise.resolve(this.#identities.claimsOf(identity, maxClaims))
  readonly holders: Store['holders'] = (orders) =>
    Promise.resolve(holdersBy(orders, (order) => this.#identities.holder(order)))
  readonly quarantined: Store['quarantined'] = (id) => Promise.resolve(this.#quarantine.find(id))
  readonly waitingInQuarantine: Store['waitingInQuarantine'] = () => Promise.resolve(this.#quarantine.waiting())
  readonly callbackCounts: Store['callbackCounts'] = () => Promise.resolve({ ...this.#counts })
  readonly drop: Store['drop'] = (id) => Promise.resolve(this.#quarantine.drop(id))
  readonly allQuarantined: Store['allQuarantined'] = () => Promise.resolve({ found: this.#quarantine.all() })
  readonly records: Store['records'] = () => Promise.resolve({ found: [...this.#identities.records()] })
  readonly settled: Store['settled'] = () => Promise.resolve({ found: [...this.#identities.records()] })
  readonly scrub: Store['scrub'] = () => Promise.resolve() // dropped data is nowhere else

  conflicts(identity: string): Promise<readonly QuarantinedCallback[]> {
    const found = this.#quarantine.all().filter((quarantined) => quarantined.identity === identity)
    return Promise.resolve(found.slice(-maxConflicts))
  }

  deliveries({ state, scope, orderId, email, ...page }: DeliverySelection) {
    const found = [...this.#identities.records()]
      .filter(
        (record) =>
          (scope === undefined || record.scope === scope) &&
          (orderId === undefined || orderIdOf(record) === orderId) &&
          (email === undefined || record.referrerEmail === email || record.refereeEmail === email),
      )
      .flatMap(({ id: claim, identity, order, scope: recorded, deliveries }) =>
        deliveries.map((delivery) => ({ claim, identity, order, scope: recorded, delivery })),
      )
      .filter(({ delivery }) => state === undefined || delivery.state === state)
    return Promise.resolve(pageOf(found, page))
  }

  quarantine({ state, scope, orderId, email, ...page }: QuarantineSelection) {
    const forms = soughtForms({ orderId, email })
    const hasForms = (quarantined: QuarantinedCallback): boolean => {
      const known = searchForms(quarantined)
      return forms.every((form) => known.has(form))
    }
    const found = this.#quarantine
      .all()
      .filter(
        (quarantined) =>
          (state === undefined || quarantined.state === state) &&
          (scope === undefined || scopeOf(quarantined) === scope) &&
          (forms.length === 0 || hasForms(quarantined)),
      )
    return Promise.resolve(pageOf(found, page))
  }

  receivedAt(id: string): Promise<number | undefined> {
    const quarantined = this.#quarantine.find(id)
    const [claim, key] = splitDeliveryId(id)
    const record = key && this.#identities.find(claim)?.record
    const delivery = record && findDelivery(record, key)
    return Promise.resolve(quarantined ? receivedAtOf(quarantined) : delivery?.callback.receivedAt)
  }

  deliveryCounts() {
    const counts = { waiting: 0, held: 0, running: 0, done: 0, dead: 0, withdrawn: 0, refused: 0 }
    for (const delivery of this.#deliveries()) counts[isHeld(delivery) ? 'held' : delivery.state]++
    return Promise.resolve(counts)
  }

  oldestWaitingAt(): Promise<number | undefined> {
    let oldest: number | undefined
    for (const delivery of this.#deliveries()) {
      if (delivery.state !== 'waiting' || isHeld(delivery)) continue
      oldest = Math.min(oldest ?? Infinity, delivery.callback.receivedAt)
    }
    return Promise.resolve(oldest)
  }

  dailyCounts(firstDay: number) {
    const dayOf = ({ callback }: Delivery): number => Math.floor(callback.receivedAt / dayMs)
    const counted = this.#deliveries().map((delivery) => ({ day: dayOf(delivery), event: delivery.event, count: 1 }))
    return Promise.resolve(counted.filter(({ day }) => day >= firstDay))
  }

  #deliveries(): readonly Delivery[] {
    return [...this.#identities.records()].flatMap(({ deliveries }) => deliveries)
  }
}
