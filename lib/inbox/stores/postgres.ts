import { Group, type Ended } from '../group.js'
import type { Holders } from '../holders.js'
import type { Outcome } from '../ledger.js'
import { durableBudget, type ConflictRecord, type QuarantinedCallback, type Size } from '../quarantine.js'
import { splitDeliveryId, type ClaimRecord } from '../records.js'
import {
  maxClaims,
  type Candidate,
  type Change,
  type Changed,
  type Counts,
  type DailyCount,
  type DeliveryCounts,
  type DeliverySelection,
  type DurableStore,
  type QuarantineSelection,
  type StoredDelivery,
} from '../store.js'
import { Tally } from '../tally.js'
import { ConversionWebhookError, storageError } from '../../errors.js'
import { causeOf, isClosedError } from './failures.js'
import { transaction, type PostgresPool, type Queryable } from './postgres-client.js'
import { commitTransaction } from './postgres-commit.js'
import type { PostgresClient } from './postgres-commit-client.js'
import { slotOfGroup, slotOfOne } from './postgres-counters.js'
import { PostgresFound } from './postgres-found.js'
import { ownerOf, type PostgresJobs, type Ticket } from './postgres-jobs.js'
import type { PostgresQuarantine } from './postgres-quarantine.js'
import type { PostgresRows } from './postgres-rows.js'
import { endedOwners, wakeUpsFor } from './postgres-wakeups.js'

const reconcileMs = 60_000
const lookIntoQuarantineMs = 500

type AnyChange = Change<unknown, PostgresClient>

export interface PostgresParts {
  readonly pool: PostgresPool
  readonly rows: PostgresRows
  readonly quarantine: PostgresQuarantine
  readonly jobs: PostgresJobs
  /** Milliseconds that the server's clock is ahead of ours. */
  readonly skewMs: () => Promise<number>
  /** Tells when another process may have made a job. Resolves when it listens. */
  readonly listen: (wake: () => void) => Promise<void>
  /** Lets go of everything that was made for the store. */
  close(): Promise<void>
}

/**
 * The inbox in PostgreSQL. While one transaction is under way, everything that comes meanwhile makes the next one. Rows are the truth;
 * what runs is claimed by a job of pg-boss, whose lease ends with the process.
 */
export class PostgresStore implements DurableStore<PostgresClient> {
  readonly pollMs = 500
  readonly quarantineBudget: Size
  readonly #open: () => Promise<PostgresParts>
  readonly #group = new Group<AnyChange>((changes) => this.#commit(changes))
  readonly #slot = slotOfGroup()
  #opening: Promise<PostgresParts> | undefined
  readonly #tickets = new Map<string, Ticket>()
  #skewMs = 0
  #reconciledAt = -Infinity
  #lookedIntoQuarantineAt = -Infinity
  /** Aborted when the store is closed: what waits for a function of `commit` no longer does. */
  readonly #closing = new AbortController()

  /** `open` is asked when the store is used first, and again after it failed. */
  constructor(open: (budget: Size) => Promise<PostgresParts>, budget = durableBudget) {
    this.#open = () => open(budget)
    this.quarantineBudget = budget
  }

  async #parts(): Promise<PostgresParts> {
    this.#closing.signal.throwIfAborted()
    this.#opening ??= this.#open()
    try {
      return await this.#opening
    } catch (error) {
      this.#opening = undefined
      throw storageError(error)
    }
  }

  async change<T>(change: Change<T, PostgresClient>): Promise<T> {
    try {
      await this.#parts()
    } catch (cause) {
      // Whatever keeps it from opening, a callback is answered with 503.
      throw isClosedError(cause)
        ? cause
        : new ConversionWebhookError('ERR_CONVERSION_INBOX_UNAVAILABLE', { cause: causeOf(cause) })
    }
    try {
      return (await (change.effect ? this.#effect(change) : this.#group.submit(change))) as T
    } catch (error) {
      // A ticket that could not be used is not quarantined on to: its lease ends, and it comes again, to whomever.
      if (change.candidate !== undefined) this.#forget([change.candidate])
      throw error
    }
  }

  async #commit(changes: readonly AnyChange[]): Promise<readonly Ended[]> {
    const { pool } = await this.#parts()
    try {
      const { ends, completed } = await transaction(pool, (client) => this.#transact(client, changes, this.#slot))
      this.#forget(completed)
      return ends
    } catch (error) {
      throw storageError(error)
    }
  }

  /** A change with an effect has a transaction of its own; its claim is locked after the effect, so that nobody waits for it. */
  async #effect({ effect, ...change }: AnyChange): Promise<unknown> {
    const { pool } = await this.#parts()
    const { value, completed } = await commitTransaction(
      pool,
      (client) => effect?.(client),
      async (client) => {
        const { ends, completed } = await this.#transact(client, [change], slotOfOne())
        const [end] = ends
        if (end === undefined || 'error' in end) throw end?.error
        return { value: end.value, completed }
      },
      this.#closing.signal,
    )
    this.#forget(completed)
    return value
  }

  #forget(owners: readonly string[]): void {
    for (const owner of owners) this.#tickets.delete(owner)
    void this.#opening?.then(({ jobs }) => {
      jobs.forget(owners)
    })
  }

  async #transact(client: Queryable, changes: readonly AnyChange[], slot: number) {
    const { rows, quarantine, jobs } = await this.#parts()
    const transaction = await PostgresFound.read(client, rows, quarantine, changes)
    const tally = new Tally()
    const conflicts: ConflictRecord[] = []
    const ends = changes.map((change): Ended => {
      let changed: Changed<unknown>
      try {
        changed = change.apply(transaction.find(change))
      } catch (error) {
        return { error }
      }
      transaction.put(changed)
      if (changed.conflict) conflicts.push(changed.conflict)
      tally.add(undefined, { counted: changed.counted })
      return { value: changed.result }
    })
    const { written, reserved, kept, quarantined } = transaction
    for (const { before, after } of written) tally.add(before, { record: after })
    await rows.write(client, written)
    await rows.reserve(client, reserved)
    await quarantine.write(client, kept, quarantined, conflicts, tally)
    const candidates = changes.map(({ candidate }) => candidate).filter((owner) => owner !== undefined)
    const completed = endedOwners(written, candidates)
    await jobs.complete(client, completed)
    const unused = completed.map((owner) => this.#tickets.get(owner)?.deliveryId).filter((id) => id !== undefined)
    const wakeUps = wakeUpsFor(written, unused, this.now())
    await jobs.insert(client, wakeUps)
    if (wakeUps.length > 0) await client.query(`SELECT pg_notify('conversion_webhook', '')`)
    await rows.counters.add(client, tally, slot) // last: others may wait for it
    return { ends, completed }
  }

  async #read<T>(query: (parts: PostgresParts) => Promise<T>): Promise<T> {
    const parts = await this.#parts()
    try {
      return await query(parts)
    } catch (error) {
      throw storageError(error)
    }
  }

  record(claim: string): Promise<ClaimRecord | undefined> {
    return this.#read(async ({ rows, pool }) => (await rows.records(pool, [claim])).get(claim))
  }

  claims(identity: string): Promise<readonly ClaimRecord[]> {
    return this.#read(({ rows, pool }) => rows.claims(pool, identity, maxClaims))
  }

  holders(orders: readonly string[]): Promise<Holders> {
    return this.#read(({ rows, pool }) => rows.holders(pool, orders))
  }

  quarantined(id: string): Promise<QuarantinedCallback | undefined> {
    return this.#read(({ quarantine, pool }) => quarantine.find(pool, id))
  }

  conflicts(identity: string): Promise<readonly QuarantinedCallback[]> {
    return this.#read(({ quarantine, pool }) => quarantine.conflicts(pool, identity))
  }

  deliveries(selection: DeliverySelection): Promise<readonly StoredDelivery[]> {
    return this.#read(({ rows, pool }) => rows.deliveries(pool, selection))
  }

  quarantine(selection: QuarantineSelection): Promise<readonly QuarantinedCallback[]> {
    return this.#read(({ quarantine, pool }) => quarantine.list(pool, selection))
  }

  waitingInQuarantine(): Promise<Size> {
    return this.#read(({ quarantine, pool }) => quarantine.waitingSize(pool))
  }

  callbackCounts(): Promise<Counts<Outcome>> {
    return this.#read(({ rows, pool }) => rows.counters.callbacks(pool))
  }

  deliveryCounts(): Promise<DeliveryCounts> {
    return this.#read(({ rows, pool }) => rows.counters.deliveries(pool))
  }

  oldestWaitingAt(): Promise<number | undefined> {
    return this.#read(({ rows, pool }) => rows.oldestWaitingAt(pool))
  }

  dailyCounts(firstDay: number): Promise<readonly DailyCount[]> {
    return this.#read(({ rows, pool }) => rows.counters.days(pool, firstDay))
  }

  records(after: string, limit: number): Promise<readonly ClaimRecord[]> {
    return this.#read(({ rows, pool }) => rows.recordsAfter(pool, after, limit))
  }

  drop(id: string): Promise<boolean> {
    return this.#read(({ quarantine, pool }) => quarantine.drop(pool, id))
  }

  scrub(): Promise<void> {
    return Promise.resolve() // no query shows what was overwritten; vacuum and backups are the server's
  }

  readonly now = (): number => Date.now() + this.#skewMs

  candidates(limit: number): Promise<readonly Candidate[]> {
    return this.#read(async ({ quarantine, jobs, pool }) => {
      const isTimeForQuarantine = performance.now() - this.#lookedIntoQuarantineAt > lookIntoQuarantineMs
      if (isTimeForQuarantine) this.#lookedIntoQuarantineAt = performance.now()
      const quarantined = isTimeForQuarantine ? await quarantine.waiting(pool, limit) : []
      const tickets = await jobs.fetch(limit)
      return [...quarantined.map((id) => ({ quarantined: id })), ...tickets.map((ticket) => this.#candidateOf(ticket))]
    })
  }

  #candidateOf(ticket: Ticket): Candidate {
    const owner = ownerOf(ticket)
    this.#tickets.set(owner, ticket)
    const [claim] = splitDeliveryId(ticket.deliveryId)
    // The same job came again, so its process fell silent.
    const isLapsed = (other: string): boolean =>
      other === ticket.orphan || (other !== owner && other.startsWith(`${ticket.id}:`))
    return { claim, owner, isLapsed }
  }

  beat(): Promise<void> {
    return this.#read(async ({ quarantine, jobs, pool, skewMs }) => {
      await jobs.touch()
      if (performance.now() - this.#reconciledAt < reconcileMs) return
      this.#reconciledAt = performance.now()
      this.#skewMs = await skewMs()
      await jobs.reconcile(pool, this.now())
      await quarantine.limitHourly(pool)
    })
  }

  leftBehind(): Promise<readonly string[]> {
    return Promise.resolve([]) // a ticket whose claim failed is let go of, and comes again
  }

  listen(wake: () => void): void {
    this.#read(({ listen }) => listen(wake)).catch(() => undefined) // polling finds everything, a little later
  }

  async close(): Promise<void> {
    await this.#group.idle()
    if (this.#closing.signal.aborted) return
    this.#closing.abort(new ConversionWebhookError('ERR_CONVERSION_INBOX_CLOSED'))
    const parts = await this.#opening?.catch(() => undefined)
    await parts?.close()
  }
}
