import { Group, type Ended } from '../group.js'
import { durableBudget, type ConflictRecord, type Size } from '../quarantine.js'
import { countDeliveries, splitDeliveryId, type AttemptMark } from '../records.js'
import { isOfStoredValue, type Candidate, type Change, type Changed, type DurableStore } from '../store.js'
import { Tally } from '../tally.js'
import { ConversionWebhookError, storageError } from '../../errors.js'
import { settlesWithin } from '../../util/settles-within.js'
import { causeOf } from './postgres-connections.js'
import { codeOf, ignore, type Queryable } from './postgres-client.js'
import { commitTransaction } from './postgres-commit.js'
import type { PostgresClient } from './postgres-commit-client.js'
import { slotOfGroup, slotOfOne } from './postgres-counters.js'
import { PostgresFound } from './postgres-found.js'
import { isLapsedBefore, ownerOf, type Ticket } from './postgres-leases.js'
import { PostgresReads } from './postgres-reads.js'
import { endedOwners, wakeUpsFor } from './postgres-jobs.js'
import type { PostgresParts } from './postgres-open.js'

/** A smaller step of the server's clock counts as a correction. */
const steppedMs = 1_000
const reconcileMs = 30_000
const failedAgainMs = 5_000
/** The most milliseconds that a transaction waits for a look. */
const gatherWithinMs = 50
const lookIntoQuarantineMs = 500
/** The most milliseconds that a callback waits for its answer. */
const answerWithinMs = 18_000
/** The most milliseconds that `close` waits for transactions under way. */
const idleWithinMs = 700

type AnyChange = Change<unknown, PostgresClient>

/**
 * The inbox in PostgreSQL. All changes that come while a transaction is under way share the next one. Our rows are the truth. A running
 * delivery belongs to a job of pg-boss, whose lease ends when the process is gone.
 */
export class PostgresStore extends PostgresReads implements DurableStore<PostgresClient> {
  readonly pollMs = 500
  readonly quarantineBudget: Size
  readonly #open: () => Promise<PostgresParts>
  readonly #group = new Group<AnyChange>(
    (changes) => this.#commit(changes),
    () => this.#looked(),
  )
  /** A look for deliveries that is under way: the transaction that settles the last deliveries also claims what the look finds. */
  #look: Promise<unknown> | undefined
  readonly #slot = slotOfGroup()
  #opening: Promise<PostgresParts> | undefined
  #opened: PostgresParts | undefined
  /** Owners of candidates whose transaction failed, or may have failed. */
  readonly #failed = new Map<string, number>()
  #reconciledAt = -Infinity
  #lookedIntoQuarantineAt = -Infinity
  /** Aborted when the store is closed: then nothing waits for the server or for a function of `commit`. */
  readonly #closing = new AbortController()

  /** `open` is called when the store is first used, and again after it failed. It rejects when the signal is aborted. */
  constructor(open: (budget: Size, closing: AbortSignal) => Promise<PostgresParts>, budget = durableBudget) {
    super()
    this.#open = () => open(budget, this.#closing.signal)
    this.quarantineBudget = budget
  }

  protected async parts(): Promise<PostgresParts> {
    this.#closing.signal.throwIfAborted()
    this.#opening ??= this.#open()
    try {
      return (this.#opened = await this.#opening)
    } catch (error) {
      this.#opening = undefined
      throw storageError(error)
    }
  }

  async change<T>(change: Change<T, PostgresClient>): Promise<T> {
    const making = this.#make(change)
    try {
      if (change.effect || (await settlesWithin(answerWithinMs, making.then(ignore, ignore)))) return await making
      // Transactions have their own limit: this change waits for a connection, or for transactions before it.
      const cause = new Error(`PostgreSQL did not record it within ${String(answerWithinMs)} ms`)
      throw new ConversionWebhookError('ERR_CONVERSION_INBOX_UNAVAILABLE', { cause })
    } catch (error) {
      if (change.candidateOwner !== undefined) this.#failed.set(change.candidateOwner, performance.now())
      throw error
    }
  }

  async #make<T>(change: Change<T, PostgresClient>): Promise<T> {
    try {
      await this.parts()
    } catch (cause) {
      if (cause === this.#closing.signal.reason) throw cause
      // Until the store is open, callbacks are answered with 503.
      throw new ConversionWebhookError('ERR_CONVERSION_INBOX_UNAVAILABLE', { cause: causeOf(cause) })
    }
    return (await (change.effect ? this.#effect(change) : this.#group.submit(change))) as T
  }

  /** If PostgreSQL refuses the rows of one change, makes the other changes without it. */
  async #commit(changes: readonly AnyChange[]): Promise<readonly Ended[]> {
    const { connections } = await this.parts()
    try {
      const { ends, endLeases } = await connections.readFirst((client, begun) =>
        this.#transact(client, changes, this.#slot, begun),
      )
      endLeases()
      return ends
    } catch (error) {
      if (changes.length === 1 || !isOfRows(error)) return changes.map(() => ({ error: storageError(error) }))
      const half = Math.ceil(changes.length / 2)
      return [...(await this.#commit(changes.slice(0, half))), ...(await this.#commit(changes.slice(half)))]
    }
  }

  /** A change with an effect has a transaction of its own. The claim is locked only after the effect, so that nobody waits for a user's function. */
  async #effect({ effect, effected, ...change }: AnyChange): Promise<unknown> {
    const { value, endLeases } = await commitTransaction(
      await this.parts(),
      async (client) => {
        const answer = await effect?.(client)
        effected?.(answer)
      },
      async (client) => {
        const { ends, endLeases } = await this.#transact(client, [change], slotOfOne())
        const [end] = ends
        if (end === undefined || 'error' in end) throw end?.error
        return { value: end.value, endLeases }
      },
      this.#closing.signal,
    )
    endLeases()
    return value
  }

  /** Makes changes in a transaction. `endLeases` is to be called after its commit. */
  async #transact(client: Queryable, changes: readonly AnyChange[], slot: number, begun?: Promise<unknown>) {
    const { rows, quarantine, jobs } = await this.parts()
    const [transaction] = await Promise.all([PostgresFound.read(client, rows, quarantine, changes), begun])
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
      if (changed.counted) tally.callback(changed.counted)
      return { value: changed.result }
    })
    const { written, reserved, kept, quarantined } = transaction
    for (const { before, after } of written) countDeliveries(before, after, tally)
    const named = changes.flatMap(({ candidateOwner, attemptOwner }) => [candidateOwner, attemptOwner])
    const owners = endedOwners(written, named)
    const unused = owners.map((owner) => jobs.leases.ticket(owner)?.deliveryId).filter((id) => id !== undefined)
    const wakeUps = wakeUpsFor(written, unused, this.now())
    const [completed] = await Promise.all([
      jobs.complete(client, owners),
      rows.write(client, written),
      rows.reserve(client, reserved),
      jobs.insert(client, wakeUps),
      // Counted last, since other transactions may wait for this lock, and after the quarantine, which counts what it drops.
      quarantine.write(client, kept, quarantined, conflicts, tally).then(() => rows.counters.add(client, tally, slot)),
    ])
    const endLeases = (): void => {
      jobs.leases.end(owners, completed)
    }
    return { ends, endLeases }
  }

  readonly now = (): number => this.#opened?.clock.now() ?? Date.now()

  candidates(limit: number): Promise<readonly Candidate[]> {
    const candidates = this.read(async ({ quarantine, jobs, connections }) => {
      const isTimeForQuarantine = performance.now() - this.#lookedIntoQuarantineAt > lookIntoQuarantineMs
      if (isTimeForQuarantine) this.#lookedIntoQuarantineAt = performance.now()
      const quarantined = isTimeForQuarantine ? await quarantine.waiting(connections, limit) : []
      const tickets = await jobs.fetch(limit)
      const failed = this.#failedBefore() // after everything that may fail, since each failed candidate is returned once
        .map((owner) => jobs.leases.ticket(owner))
        .filter((ticket) => ticket !== undefined)
      return [
        ...quarantined.map((id) => ({ quarantined: id })),
        ...failed.map((ticket) => candidateOf(ticket, true)),
        ...tickets.map((ticket) => candidateOf(ticket, false)),
      ]
    })
    const look = candidates.then(ignore, ignore).finally(() => {
      if (this.#look === look) this.#look = undefined
    })
    this.#look = look
    return candidates
  }

  /** Waits for a look under way, and for one that begins a turn after the attempts that ended in this turn. */
  async #looked(): Promise<void> {
    await new Promise(setImmediate)
    if (this.#look) await settlesWithin(gatherWithinMs, this.#look)
  }

  /** Returns the candidates whose transaction failed, once and not before some time. */
  #failedBefore(): readonly string[] {
    const until = performance.now() - failedAgainMs
    const failed = [...this.#failed].filter(([, at]) => at <= until).map(([owner]) => owner)
    for (const owner of failed) this.#failed.delete(owner)
    return failed
  }

  beat(): Promise<void> {
    return this.read(async ({ quarantine, jobs, connections, clock }) => {
      await jobs.completeLeft()
      await jobs.touch()
      const stepMs = await clock.measure(connections)
      // Every process that notices the step does it: an early retry does no harm, a late one does.
      if (stepMs < -steppedMs) await jobs.pull(connections, Math.ceil(-stepMs), this.now())
      if (performance.now() - this.#reconciledAt < reconcileMs) return
      await jobs.reconcile(connections, this.now())
      await quarantine.limitHourly(connections)
      this.#reconciledAt = performance.now()
    })
  }

  leftBehind(): Promise<readonly Candidate[]> {
    return Promise.resolve([]) // a candidate whose transaction failed is returned again
  }

  listen(wake: () => void): void {
    this.read(({ listener }) => listener.start(wake)).catch(() => undefined) // without notifications polling finds everything, a little later
  }

  async close(): Promise<void> {
    await settlesWithin(idleWithinMs, this.#group.idle())
    if (this.#closing.signal.aborted) return
    this.#closing.abort(new ConversionWebhookError('ERR_CONVERSION_INBOX_CLOSED'))
    const parts = await this.#opening?.catch(() => undefined)
    await parts?.close()
  }
}

/** If the answer to a COMMIT was lost, the attempt of a candidate that failed may be recorded as running though it does not run. */
function candidateOf(ticket: Ticket, hasFailed: boolean): Candidate {
  const [claim] = splitDeliveryId(ticket.deliveryId)
  const own = ownerOf(ticket)
  const isLapsed = ({ owner }: AttemptMark): boolean =>
    owner !== undefined && ((hasFailed && owner === own) || isLapsedBefore(ticket, owner))
  return { claim, owner: own, isLapsed }
}

/**
 * Whether one of the changes may be the cause, so that the others are made without it: a stored row cannot be read, or the server refused data
 * (SQLSTATE classes of data, constraints, limits and triggers) and has no trouble of its own.
 */
function isOfRows(error: unknown): boolean {
  return isOfStoredValue(error) || /^(22|23|54|P0)/.test(String(codeOf(causeOf(error))))
}
