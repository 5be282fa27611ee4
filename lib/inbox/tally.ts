import type { QuarantineKind, Size } from './quarantine.js'
import type { Counts, DailyCount, DeliveryCounts } from './store.js'
import type { ConversionEvent, DeliveryState, Outcome } from './vocabulary.js'

/* What changes add to the counters, computed from what the changes write. Pure. */

const dayMs = 86_400_000

/** What one transaction adds to the counters of its store. */
export class Tally {
  readonly #sums = new Map<string, number>()
  readonly #days = new Map<string, Omit<DailyCount, 'count'> & { count: number }>()

  /** Counts rows that were added to the quarantine; negative numbers for removed ones. */
  quarantine(kind: QuarantineKind, { rows, bytes }: Size): void {
    const names = quarantineCounters(kind)
    this.#add(names.rows, rows)
    this.#add(names.bytes, bytes)
  }

  callback(outcome: Outcome): void {
    this.#add(callbackCounter(outcome), 1)
  }

  /** Counts a delivery in its state, and on the day on which its callback came. `by` -1 takes it out again. */
  delivery(state: DeliveryState | 'held', event: ConversionEvent, receivedAt: number, by: 1 | -1): void {
    this.#add(deliveryCounter(state), by)
    const day = Math.floor(receivedAt / dayMs)
    const key = `${String(day)} ${event}`
    const counted = this.#days.get(key) ?? { day, event, count: 0 }
    counted.count += by
    this.#days.set(key, counted)
  }

  /** What to add to each counter, without zeros. */
  get sums(): readonly (readonly [counter: string, sum: number])[] {
    return [...this.#sums].filter(([, sum]) => sum !== 0).sort(([a], [b]) => (a < b ? -1 : 1))
  }

  /** How many deliveries each day and event has gained, without zeros. */
  get days(): readonly DailyCount[] {
    const order = ({ day, event }: DailyCount): string => `${String(day)} ${event}`
    return [...this.#days.values()].filter(({ count }) => count !== 0).sort((a, b) => (order(a) < order(b) ? -1 : 1))
  }

  clear(): void {
    this.#sums.clear()
    this.#days.clear()
  }

  #add(counter: string, sum: number): void {
    this.#sums.set(counter, (this.#sums.get(counter) ?? 0) + sum)
  }
}

const callbackCounter = (outcome: Outcome): string => `callbacks.${outcome}`
const deliveryCounter = (state: DeliveryState | 'held'): string => `deliveries.${state}`
const quarantineCounters = (kind: QuarantineKind) => ({
  rows: `quarantine.${kind}.rows`,
  bytes: `quarantine.${kind}.bytes`,
})

type Counters = ReadonlyMap<string, number>

/** A counter is never negative, even if somebody has changed rows by hand. */
const valueOf = (counters: Counters, name: string): number => Math.max(0, counters.get(name) ?? 0)

export function callbackCountsIn(counters: Counters): Counts<Outcome> {
  const of = (outcome: Outcome): number => valueOf(counters, callbackCounter(outcome))
  return {
    accepted: of('accepted'),
    duplicate: of('duplicate'),
    stale: of('stale'),
    conflict: of('conflict'),
    refused: of('refused'),
  }
}

/** Held deliveries are not counted as waiting. */
export function deliveryCountsIn(counters: Counters): DeliveryCounts {
  const of = (state: keyof DeliveryCounts): number => valueOf(counters, deliveryCounter(state))
  return {
    waiting: of('waiting'),
    held: of('held'),
    running: of('running'),
    done: of('done'),
    dead: of('dead'),
    withdrawn: of('withdrawn'),
    refused: of('refused'),
  }
}

/** The size of one kind of quarantined callbacks; `tally` is what the transaction adds and has not written to the counters yet. */
export function sizeIn(counters: Counters, kind: QuarantineKind, tally = new Tally()): Size {
  const names = quarantineCounters(kind)
  const added = new Map(tally.sums)
  const of = (name: string): number => Math.max(0, (counters.get(name) ?? 0) + (added.get(name) ?? 0))
  return { rows: of(names.rows), bytes: of(names.bytes) }
}
