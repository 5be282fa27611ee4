import type { Connections } from './postgres-connections.js'
import type { PostgresJobs } from './postgres-jobs.js'
import type { Ticket } from './postgres-leases.js'

/** How long the handlers of this process may take to reach what is fetched ahead. */
const aheadMs = 50
/** After so long without a slot, tickets go back to the queue: another process may have one. */
const keptMs = 250
const maxAhead = 100

interface Kept {
  readonly ticket: Ticket
  readonly fetchedAt: number
}

/**
 * Tickets that are fetched before there is a slot for them, so that a process whose handlers are quick does not wait for the server
 * before each few deliveries. A process whose handlers are slow fetches none ahead.
 */
export class Ahead {
  readonly #jobs: PostgresJobs
  readonly #connections: Connections
  #kept: readonly Kept[] = []
  #fetching: Promise<void> | undefined
  #returning: NodeJS.Timeout | undefined
  /** Tickets taken since. */
  #taken = 0
  #since = 0
  /** Tickets that were taken within `aheadMs` lately. */
  #pace = 0

  constructor(jobs: PostgresJobs, connections: Connections) {
    this.#jobs = jobs
    this.#connections = connections
  }

  /** Up to `limit` tickets; fewer where there are no more. */
  async take(limit: number): Promise<readonly Ticket[]> {
    this.#measure()
    await this.#fetching
    if (this.#kept.length < limit) await this.#fetch(limit - this.#kept.length)
    const taken = this.#kept.slice(0, limit)
    this.#kept = this.#kept.slice(limit)
    this.#taken += taken.length
    const isShort = this.#kept.length < Math.min(limit, this.#pace)
    if (isShort && this.#jobs.isMoreThere) this.#fetch(0).catch(() => undefined) // the next look meets it
    return taken.map(({ ticket }) => ticket)
  }

  #measure(): void {
    const now = performance.now()
    const elapsedMs = now - this.#since
    if (elapsedMs < aheadMs) return
    this.#pace = Math.min(maxAhead, Math.floor((this.#taken / elapsedMs) * aheadMs))
    this.#taken = 0
    this.#since = now
  }

  #fetch(missing: number): Promise<void> {
    this.#fetching = this.#fetchNow(missing).finally(() => {
      this.#fetching = undefined
    })
    return this.#fetching
  }

  async #fetchNow(missing: number): Promise<void> {
    const tickets = await this.#jobs.fetch(missing + this.#pace)
    const fetchedAt = performance.now()
    this.#kept = [...this.#kept, ...tickets.map((ticket) => ({ ticket, fetchedAt }))]
    this.#returnLater()
  }

  #returnLater(): void {
    this.#returning ??= setTimeout(() => {
      this.#returning = undefined
      const until = performance.now() - keptMs
      void this.#giveBack(({ fetchedAt }) => fetchedAt <= until).then(() => {
        if (this.#kept.length > 0) this.#returnLater()
      })
    }, keptMs).unref()
  }

  /** Never rejects: where the storage fails they stay here, since their leases are renewed. */
  async #giveBack(isDue: (kept: Kept) => boolean): Promise<void> {
    const due = this.#kept.filter(isDue)
    if (due.length === 0) return
    this.#kept = this.#kept.filter((kept) => !isDue(kept))
    try {
      await this.#jobs.giveBack(
        this.#connections,
        due.map(({ ticket }) => ticket),
      )
    } catch {
      this.#kept = [...due, ...this.#kept]
    }
  }

  /** Gives everything back, once. */
  async close(): Promise<void> {
    await this.#fetching?.catch(() => undefined)
    clearTimeout(this.#returning)
    await this.#giveBack(() => true)
  }
}
