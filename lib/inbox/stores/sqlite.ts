import { randomUUID } from 'node:crypto'
import type { DatabaseSync } from 'node:sqlite'
import { setTimeout as wait } from 'node:timers/promises'
import { ConversionWebhookError, storageError } from '../../errors.js'
import { Group, type Ended } from '../group.js'
import { durableBudget, type Size } from '../quarantine.js'
import { maxClaims, type Candidate, type Change, type DurableStore, type Store } from '../store.js'
import { callbackCountsIn, deliveryCountsIn } from '../tally.js'
import { machineClocks, SqliteClock } from './sqlite-clock.js'
import { SqliteDue } from './sqlite-deliveries.js'
import { KeptClaims } from './sqlite-kept.js'
import { SqliteLog } from './sqlite-log.js'
import { newest } from './sqlite-newest.js'
import { isInTransaction, resultCode, transact } from './sqlite-driver.js'
import { SqlitePlace } from './sqlite-file.js'
import { SqliteQuarantine } from './sqlite-quarantine.js'
import { SqliteRows } from './sqlite-rows.js'
import { scrubSqlite, SqliteWorkers } from './sqlite-workers.js'
import { SqliteTransactions, type AnyChange } from './sqlite-transactions.js'
import { candidateFor, seenAgain, type LeftAttempt, GoneWorkers } from './sqlite-gone.js'
import { holdersBy } from '../reservation.js'

const busyForMs = 5_000
const maxBusyPauseMs = 10
/** How long writers wait while an `erase` writes the file anew: the sender may never repeat a callback that was answered with 503. */
const rewrittenForMs = 60_000
/** How many claims this process takes over from itself at a time. */
const maxLeft = 100

/**
 * The inbox in a SQLite file. One transaction, and so one fsync, commits all changes of one turn of the event loop. The driver is
 * synchronous: the other methods have done their work when they return their promise.
 */
export class SqliteStore implements DurableStore<DatabaseSync> {
  readonly now: () => number
  readonly #elapsed: () => number
  readonly #clock: SqliteClock
  readonly owner = randomUUID()
  readonly pollMs = 100
  readonly quarantineBudget: Size
  readonly #db: DatabaseSync
  readonly #place: SqlitePlace
  readonly #log: SqliteLog
  readonly #rows: SqliteRows
  readonly #due: SqliteDue
  readonly #workers: SqliteWorkers
  readonly #quarantine: SqliteQuarantine
  readonly #group = new Group<AnyChange>((changes) => this.#commit(changes))
  readonly #transactions: SqliteTransactions
  readonly #goneWorkers = new GoneWorkers()
  #suspects: readonly LeftAttempt[] = []
  #isClosed = false

  constructor(db: DatabaseSync, clocks = machineClocks, budget = durableBudget) {
    this.now = clocks.wall
    this.#elapsed = clocks.elapsed
    this.#clock = new SqliteClock(db, clocks)
    this.quarantineBudget = budget
    this.#db = db
    this.#place = new SqlitePlace(db)
    this.#log = new SqliteLog(db, this.#place.file)
    this.#rows = new SqliteRows(db, this.#clock)
    this.#due = new SqliteDue(db, this.#clock)
    this.#workers = new SqliteWorkers(db)
    this.#quarantine = new SqliteQuarantine(db, budget)
    this.#transactions = new SqliteTransactions(db, this.#rows, this.#quarantine, {
      now: this.now,
      owner: this.owner,
      workers: this.#workers,
      checkFile: this.#checkFile,
      kept: new KeptClaims(db, this.#clock, this.owner),
    })
  }

  async change<T>(change: Change<T, DatabaseSync>): Promise<T> {
    if (this.#isClosed) throw new ConversionWebhookError('ERR_CONVERSION_INBOX_CLOSED')
    return (await this.#group.submit(change)) as T
  }

  /** Makes one transaction. If the effect of a change ended it, makes another one without that change. */
  async #commit(changes: readonly AnyChange[]): Promise<readonly Ended[]> {
    if (this.#log.ending) await this.#log.ending
    const broken = new Map<AnyChange, unknown>()
    return this.#insist(() => {
      for (;;) {
        const before = broken.size
        try {
          return this.#transactions.make(changes, broken)
        } catch (error) {
          if (isInTransaction(this.#db)) this.#db.exec('ROLLBACK')
          if (broken.size === before) throw error
        }
      }
    })
  }

  readonly record: Store['record'] = (claim) => this.#read(() => this.#rows.record(claim))
  readonly claims: Store['claims'] = (identity) => this.#read(() => this.#rows.claims(identity, maxClaims))
  readonly holders: Store['holders'] = (orders) =>
    this.#read(() => holdersBy(orders, (order) => this.#rows.holder(order)))
  readonly quarantined: Store['quarantined'] = (id) => this.#read(() => this.#quarantine.find(id))
  readonly conflicts: Store['conflicts'] = (identity) => this.#read(() => this.#quarantine.conflicts(identity))
  readonly deliveries: Store['deliveries'] = (selection) =>
    newest(this.#rows.listing, selection, (query) => this.#read(query))
  readonly quarantine: Store['quarantine'] = (selection) =>
    newest(this.#quarantine, selection, (query) => this.#read(query))
  readonly allQuarantined: Store['allQuarantined'] = (after, limit) =>
    this.#read(() => this.#quarantine.all(after, limit))
  readonly receivedAt: Store['receivedAt'] = (id) => this.#read(() => this.#rows.listing.receivedAt(id))
  readonly waitingInQuarantine: Store['waitingInQuarantine'] = () => this.#read(() => this.#quarantine.waitingSize())
  readonly callbackCounts: Store['callbackCounts'] = () =>
    this.#read(() => callbackCountsIn(this.#rows.counters.read()))
  readonly deliveryCounts: Store['deliveryCounts'] = () =>
    this.#read(() => deliveryCountsIn(this.#rows.counters.read()))
  readonly oldestWaitingAt: Store['oldestWaitingAt'] = () => this.#read(() => this.#rows.oldestWaitingAt())
  readonly dailyCounts: Store['dailyCounts'] = (firstDay) => this.#read(() => this.#rows.counters.days(firstDay))
  readonly records: Store['records'] = (after, limit) => this.#read(() => this.#rows.records(after, limit))
  readonly settled: Store['settled'] = (before, after, limit) =>
    this.#read(() => this.#rows.settled(before, after, limit))
  readonly drop: Store['drop'] = (id) => this.#read(() => this.#quarantine.drop(id))

  async scrub(): Promise<void> {
    const parts = { log: this.#log, workers: this.#workers, counters: this.#rows.counters }
    await scrubSqlite(parts, (query) => this.#read(query))
  }

  candidates(limit: number, except: ReadonlySet<string>): Promise<readonly Candidate[]> {
    return this.#read(() => {
      const most = limit + except.size
      const quarantined = this.#quarantine.waiting(most).filter((id) => !except.has(id))
      const goneOwners = new Set([...this.#silentWorkers(), ...this.#workers.unknownOwners()])
      const left = this.#due.leftAttempts([...goneOwners], most).filter(({ claim }) => !except.has(claim))
      const due = new Set(this.#due.claims(most).filter((id) => !except.has(id)))
      return [
        ...quarantined.slice(0, limit).map((id) => ({ quarantined: id })),
        ...[...left, ...due].slice(0, limit).map((found) => candidateFor(this.owner, found)),
      ]
    })
  }

  beat(): Promise<void> {
    const write = (): void => {
      this.#clock.beat()
      this.#workers.beat(this.owner)
      this.#goneWorkers.look(this.#workers.beats(this.owner), this.#elapsed())
      for (const id of this.#silentWorkers()) this.#workers.forgetWorker(id)
      this.#quarantine.limitHourly(this.now())
    }
    return this.#read(() => {
      transact(this.#db, write)
    })
  }

  /**
   * Claims with a delivery that is recorded as running in this process and does not run: its transaction was committed, but reported as
   * failed. Returns only what two calls in a row found: a delivery looks the same between its commit and the start of its attempt.
   */
  leftBehind(active: ReadonlySet<string>): Promise<readonly Candidate[]> {
    return this.#read(() => {
      const all = this.#due.leftAttempts([this.owner], active.size + maxLeft)
      const found = all.filter(({ claim }) => !active.has(claim))
      const again = seenAgain(found, this.#suspects)
      this.#suspects = found
      return again.map((each) => candidateFor(this.owner, each))
    })
  }

  #silentWorkers(): readonly string[] {
    return this.#goneWorkers.gone(() => this.#workers.beats(this.owner), this.#elapsed())
  }

  listen(): void {
    // Polling finds the commits of other processes, since SQLite does not announce them. This process's own commits call `wake`.
  }

  async close(): Promise<void> {
    await this.#group.idle()
    if (this.#isClosed) return
    this.#isClosed = true
    await this.#log.close()
    try {
      this.#place.look()
      this.#workers.forgetWorker(this.owner)
    } catch {
      // Other processes remove a worker without attempts.
    }
    this.#transactions.close()
    this.#db.close()
  }

  /** Runs a function at once, and again while another process locks the file. */
  #read<T>(query: () => T): Promise<T> {
    return this.#insist(() => {
      if (this.#isClosed) throw new ConversionWebhookError('ERR_CONVERSION_INBOX_CLOSED')
      this.#checkFile()
      return query()
    })
  }

  /** Called before the file is read or written: notices a jump of the clock, and throws if the file was moved or replaced. */
  readonly #checkFile = (): void => {
    this.#clock.look()
    this.#log.watch(this.#place.look())
  }

  /** Tries again while another connection holds the lock; for longer if an `erase` holds it, which is known to end. */
  async #insist<T>(work: () => T): Promise<T> {
    const startedAt = performance.now()
    for (let pauseMs = 1; ; pauseMs = Math.min(pauseMs + 1, maxBusyPauseMs)) {
      try {
        return work()
      } catch (error) {
        if (!isBusy(error)) throw storageError(error)
        const waited = performance.now() - startedAt
        if (waited > busyForMs && !(waited < rewrittenForMs && this.#workers.isRewritten())) throw storageError(error)
        await wait(pauseMs)
      }
    }
  }
}

const sqliteBusy = 5
const isBusy = (error: unknown): boolean => resultCode(error) === sqliteBusy
