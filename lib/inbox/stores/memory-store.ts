import type { Outcome } from '../ledger.js'
import { receivedAtOf, scopeOf, type QuarantinedCallback, type Size } from '../quarantine.js'
import { deliveryId, isHeld, keyOf, orderIdOf, type IdentityRecord } from '../records.js'
import type { Identities } from './identities.js'
import { MemoryQuarantine } from './memory-quarantine.js'
import type {
  Change,
  Counts,
  DailyCount,
  DeliveryCounts,
  DeliverySelection,
  QuarantineSelection,
  Position,
  Store,
  StoredDelivery,
} from '../store.js'

const dayMs = 86_400_000
const maxConflicts = 100

/** The store of a process that forgets: a change is made at once, and queries look at everything there is. */
export class MemoryStore implements Store {
  readonly #identities: Identities<unknown>
  readonly #quarantine: MemoryQuarantine
  readonly #counts = { accepted: 0, duplicate: 0, stale: 0, conflict: 0, refused: 0 }

  constructor(identities: Identities<unknown>, budget: Size) {
    this.#identities = identities
    this.#quarantine = new MemoryQuarantine(budget)
  }

  get quarantineBudget(): Size {
    return this.#quarantine.budget
  }

  change<T>({ identity, quarantined: quarantinedId, apply }: Change<T>): Promise<T> {
    return new Promise((resolve) => {
      const record = identity === undefined ? undefined : this.#identities.find(identity)?.record
      const quarantined = quarantinedId === undefined ? undefined : this.#quarantine.find(quarantinedId)
      const changed = apply({ ...(record && { record }), ...(quarantined && { quarantined }) })
      if (changed.record) this.#identities.put(changed.record)
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

  record(identity: string): Promise<IdentityRecord | undefined> {
    return Promise.resolve(this.#identities.find(identity)?.record)
  }

  quarantined(id: string): Promise<QuarantinedCallback | undefined> {
    return Promise.resolve(this.#quarantine.find(id))
  }

  conflicts(identity: string): Promise<readonly QuarantinedCallback[]> {
    const found = this.#quarantine.all().filter((quarantined) => quarantined.identity === identity)
    return Promise.resolve(found.slice(-maxConflicts))
  }

  waitingInQuarantine(): Promise<Size> {
    return Promise.resolve(this.#quarantine.waiting())
  }

  deliveries({ state, scope, orderId, email, before, limit }: DeliverySelection): Promise<readonly StoredDelivery[]> {
    const found = [...this.#identities.records()]
      .filter(
        (record) =>
          (scope === undefined || record.scope === scope) &&
          (orderId === undefined || orderIdOf(record) === orderId) &&
          (email === undefined || record.referrerEmail === email || record.refereeEmail === email),
      )
      .flatMap(({ id, scope: recorded, deliveries }) =>
        deliveries.map((delivery) => ({ identity: id, scope: recorded, delivery })),
      )
      .filter(({ delivery }) => state === undefined || delivery.state === state)
      .map((stored) => ({ stored, position: positionOf(stored) }))
      .filter(({ position }) => before === undefined || newestFirst(before, position) < 0)
      .sort((a, b) => newestFirst(a.position, b.position))
    return Promise.resolve(found.slice(0, limit).map(({ stored }) => stored))
  }

  quarantine({ state, scope, before, limit }: QuarantineSelection): Promise<readonly QuarantinedCallback[]> {
    const found = this.#quarantine
      .all()
      .filter(
        (quarantined) =>
          (state === undefined || quarantined.state === state) &&
          (scope === undefined || scopeOf(quarantined) === scope),
      )
      .map((quarantined) => ({ quarantined, position: { receivedAt: receivedAtOf(quarantined), id: quarantined.id } }))
      .filter(({ position }) => before === undefined || newestFirst(before, position) < 0)
      .sort((a, b) => newestFirst(a.position, b.position))
    return Promise.resolve(found.slice(0, limit).map(({ quarantined }) => quarantined))
  }

  callbackCounts(): Promise<Counts<Outcome>> {
    return Promise.resolve({ ...this.#counts })
  }

  deliveryCounts(): Promise<DeliveryCounts> {
    const counts = { waiting: 0, held: 0, running: 0, done: 0, dead: 0, withdrawn: 0, refused: 0 }
    for (const { deliveries } of this.#identities.records()) {
      for (const delivery of deliveries) counts[isHeld(delivery) ? 'held' : delivery.state]++
    }
    return Promise.resolve(counts)
  }

  oldestWaitingAt(): Promise<number | undefined> {
    let oldest: number | undefined
    for (const { deliveries } of this.#identities.records()) {
      for (const delivery of deliveries) {
        if (delivery.state !== 'waiting' || isHeld(delivery)) continue
        oldest = Math.min(oldest ?? Infinity, delivery.callback.receivedAt)
      }
    }
    return Promise.resolve(oldest)
  }

  dailyCounts(since: number): Promise<readonly DailyCount[]> {
    const each = [...this.#identities.records()].flatMap(({ deliveries }) => deliveries)
    const counted = each.filter(({ callback }) => callback.receivedAt >= since)
    return Promise.resolve(
      counted.map(({ event, callback }) => ({ day: Math.floor(callback.receivedAt / dayMs), event, count: 1 })),
    )
  }

  records(after: string, limit: number): Promise<readonly IdentityRecord[]> {
    const sorted = [...this.#identities.records()].filter(({ id }) => id > after).sort((a, b) => (a.id < b.id ? -1 : 1))
    return Promise.resolve(sorted.slice(0, limit))
  }

  drop(id: string): Promise<boolean> {
    return Promise.resolve(this.#quarantine.drop(id))
  }

  scrub(): Promise<void> {
    return Promise.resolve() // what was let go of is nowhere else
  }
}

function positionOf({ identity, delivery }: StoredDelivery): Position {
  return { receivedAt: delivery.callback.receivedAt, id: deliveryId(identity, keyOf(delivery)) }
}

function newestFirst(a: Position, b: Position): number {
  return b.receivedAt - a.receivedAt || (a.id === b.id ? 0 : a.id < b.id ? 1 : -1)
}
