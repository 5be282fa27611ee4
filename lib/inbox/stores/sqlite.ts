import { randomUUID } from 'node:crypto'
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { setTimeout as wait } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { ConversionWebhookError, isConversionWebhookError, storageError } from '../../errors.js'
import { isTransactionEnded } from '../ended.js'
import { Group, type Ended } from '../group.js'
import { holdersBy, type Holders } from '../holders.js'
import type { Outcome } from '../ledger.js'
import { durableBudget, type QuarantinedCallback, type Size } from '../quarantine.js'
import type { ClaimRecord } from '../records.js'
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
  type Found,
} from '../store.js'
import { Tally } from '../tally.js'
import { runEffect } from './sqlite-effect.js'
import { SqliteFound } from './sqlite-found.js'
import { newest } from './sqlite-newest.js'
import { resultCode } from './sqlite-open.js'
import { SqliteQuarantine } from './sqlite-quarantine.js'
import { SqliteRows } from './sqlite-rows.js'

const busyForMs = 5_000
const busyPauseMs = 10
/** Claims that are taken over from ourselves at a time. */
const maxLeft = 100
/**
 * A worker that did not beat between so many beats of ours, five seconds apart, is gone. Not counted in time: clocks jump, and a process
 * that was stopped itself would take all others for gone.
 */
const lapsedAfterBeats = 4

type AnyChange = Change<unknown, DatabaseSync>

/**
 * The inbox in a SQLite file. The driver is synchronous, so a group is what comes in one turn of the event loop; it is committed by one
 * fsync, and every method is done when its promise is made.
 */
export class SqliteStore implements DurableStore<DatabaseSync> {
  readonly now: () => number
  readonly owner = randomUUID()
  readonly pollMs = 100
  readonly #db: DatabaseSync
  readonly #rows: SqliteRows
  readonly #quarantine: SqliteQuarantine
  readonly #group = new Group<AnyChange>((changes) => this.#commit(changes))
  readonly #begin: StatementSync
  readonly #end: StatementSync
  /** Each other worker's last beat, and how many of ours it has not changed for. */
  readonly #beats = new Map<string, { readonly beat: number; readonly silent: number }>()
  #suspects: ReadonlySet<string> = new Set()
  #isClosed = false

  constructor(db: DatabaseSync, now: () => number = Date.now, budget = durableBudget) {
    this.now = now
    this.#db = db
    this.#rows = new SqliteRows(db)
    this.#quarantine = new SqliteQuarantine(db, budget)
    this.#begin = db.prepare('BEGIN IMMEDIATE')
    this.#end = db.prepare('COMMIT')
  }

  async change<T>(change: Change<T, DatabaseSync>): Promise<T> {
    if (this.#isClosed) throw new ConversionWebhookError('ERR_CONVERSION_INBOX_CLOSED')
    return (await this.#group.submit(change)) as T
  }

  /** One transaction; again for a while where another process holds the lock, and without an effect that ended it. */
  async #commit(changes: readonly AnyChange[]): Promise<readonly Ended[]> {
    const giveUpAt = performance.now() + busyForMs
    const broken = new Map<AnyChange, unknown>()
    for (;;) {
      const before = broken.size
      try {
        return this.#transact(changes, broken)
      } catch (error) {
        if (this.#db.isTransaction) this.#db.exec('ROLLBACK')
        if (broken.size > before) continue
        if (!isBusy(error) || performance.now() > giveUpAt) throw storageError(error)
        await wait(busyPauseMs)
      }
    }
  }

  #transact(changes: readonly AnyChange[], broken: Map<AnyChange, unknown>): readonly Ended[] {
    this.#begin.run()
    const transaction = new SqliteFound(this.#rows, this.#quarantine)
    const tally = new Tally()
    const ends = changes.map((change): Ended => {
      if (broken.has(change)) return { error: broken.get(change) }
      let found: Found
      let changed: Changed<unknown>
      try {
        found = transaction.find(change)
        changed = change.apply(found)
      } catch (error) {
        return { error: storageError(error) }
      }
      const { record, quarantined } = changed
      const before = record && transaction.record(record.id)
      const write = (): void => {
        if (record) this.#rows.writeRecord(before, record)
        if (record?.deliveries.some(({ owner }) => owner === this.owner)) this.#rows.enrol(this.owner)
        for (const order of changed.reserved ?? []) if (record) this.#rows.reserve(order, record.id)
        if (quarantined) this.#quarantine.write(found.quarantined, quarantined)
        if (changed.conflict) this.#quarantine.keep(changed.conflict)
        tally.add(before, changed)
      }
      if (change.effect) {
        this.#rows.counters.take(tally)
        const failure = runEffect(
          this.#db,
          () => {
            write()
            this.#rows.counters.take(tally) // a function that ends the transaction commits what was written so far
            return change.effect?.(this.#db)
          },
          () => record !== undefined && isDeepStrictEqual(this.#rows.record(record.id), before),
        )
        if (failure && (isTransactionEnded(failure.error) || !this.#db.isTransaction)) {
          broken.set(change, failure.error)
          throw failure.error
        }
        if (failure) return failure
      } else {
        write()
      }
      if (record) transaction.put(record)
      return { value: changed.result }
    })
    this.#quarantine.limit(this.now())
    this.#rows.counters.take(tally)
    this.#end.run()
    return ends
  }

  record(claim: string): Promise<ClaimRecord | undefined> {
    return this.#read(() => this.#rows.record(claim))
  }

  claims(identity: string): Promise<readonly ClaimRecord[]> {
    return this.#read(() => this.#rows.claims(identity, maxClaims))
  }

  holders(orders: readonly string[]): Promise<Holders> {
    return this.#read(() => holdersBy(orders, (order) => this.#rows.holder(order)))
  }

  quarantined(id: string): Promise<QuarantinedCallback | undefined> {
    return this.#read(() => this.#quarantine.find(id))
  }

  conflicts(identity: string): Promise<readonly QuarantinedCallback[]> {
    return this.#read(() => this.#quarantine.conflicts(identity))
  }

  deliveries(selection: DeliverySelection): Promise<readonly StoredDelivery[]> {
    return newest(this.#rows.listing, selection, (query) => this.#read(query))
  }

  quarantine(selection: QuarantineSelection): Promise<readonly QuarantinedCallback[]> {
    return newest(this.#quarantine, selection, (query) => this.#read(query))
  }

  get quarantineBudget(): Size {
    return this.#quarantine.budget
  }

  waitingInQuarantine(): Promise<Size> {
    return this.#read(() => this.#quarantine.waitingSize())
  }

  callbackCounts(): Promise<Counts<Outcome>> {
    return this.#read(() => this.#rows.counters.callbacks())
  }

  deliveryCounts(): Promise<DeliveryCounts> {
    return this.#read(() => this.#rows.counters.deliveries())
  }

  oldestWaitingAt(): Promise<number | undefined> {
    return this.#read(() => this.#rows.oldestWaitingAt())
  }

  dailyCounts(firstDay: number): Promise<readonly DailyCount[]> {
    return this.#read(() => this.#rows.counters.days(firstDay))
  }

  records(after: string, limit: number): Promise<readonly ClaimRecord[]> {
    return this.#read(() => this.#rows.records(after, limit))
  }

  drop(id: string): Promise<boolean> {
    return this.#read(() => this.#quarantine.drop(id))
  }

  /**
   * Overwriting what is deleted (`secure_delete`) is not enough: pages that were split keep old bytes, and so does the log. So the file is
   * written anew, and the log is moved into it and cut.
   */
  async scrub(): Promise<void> {
    try {
      await this.#read(() => {
        this.#db.exec('VACUUM')
        const result = this.#db.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get()
        if (Number(result?.busy) !== 0) throw new ConversionWebhookError('ERR_CONVERSION_ERASE_INCOMPLETE')
      })
    } catch (cause) {
      if (isConversionWebhookError(cause) && cause.code !== 'ERR_CONVERSION_INBOX_UNAVAILABLE') throw cause
      throw new ConversionWebhookError('ERR_CONVERSION_ERASE_INCOMPLETE', { cause })
    }
  }

  candidates(limit: number): Promise<readonly Candidate[]> {
    return this.#read(() => {
      const quarantined = this.#quarantine.waiting(limit).map((id) => ({ quarantined: id }))
      const lapsed = new Set([...this.#silentWorkers(), ...this.#rows.unknownOwners()])
      const left = this.#rows.leftClaims([...lapsed], limit)
      const claims = [...new Set([...left, ...this.#rows.dueClaims(this.now(), limit)])].slice(0, limit)
      const isLapsed = (owner: string): boolean => lapsed.has(owner)
      return [...quarantined, ...claims.map((claim) => ({ claim, owner: this.owner, isLapsed }))]
    })
  }

  beat(): Promise<void> {
    return this.#read(() => {
      this.#rows.beat(this.owner)
      const beats = new Map(this.#rows.beats(this.owner))
      for (const [id, beat] of beats) {
        const known = this.#beats.get(id)
        this.#beats.set(id, { beat, silent: known?.beat === beat ? known.silent + 1 : 0 })
      }
      for (const id of this.#beats.keys()) if (!beats.has(id)) this.#beats.delete(id)
      for (const id of this.#silentWorkers()) this.#rows.forgetWorker(id)
      this.#quarantine.limitHourly(this.now())
    })
  }

  /**
   * Claims that run for this process, though nothing of them does here: their claim was committed, and reported as failed. Twice in
   * a row, since a claim that is being made looks alike.
   */
  leftBehind(active: ReadonlySet<string>): Promise<readonly string[]> {
    return this.#read(() => {
      const found = this.#rows.leftClaims([this.owner], active.size + maxLeft).filter((id) => !active.has(id))
      const again = found.filter((id) => this.#suspects.has(id))
      this.#suspects = new Set(found)
      return again
    })
  }

  #silentWorkers(): string[] {
    return [...this.#beats].filter(([, { silent }]) => silent >= lapsedAfterBeats).map(([id]) => id)
  }

  listen(): void {
    // Nothing tells of another process's commits: they are found by polling, and our own wake us anyway.
  }

  async close(): Promise<void> {
    await this.#group.idle()
    if (this.#isClosed) return
    this.#isClosed = true
    try {
      this.#rows.forgetWorker(this.owner)
    } catch {
      // A worker without attempts is forgotten by others.
    }
    this.#db.close()
  }

  /** Runs at once; what another process locks is asked for again. */
  async #read<T>(query: () => T): Promise<T> {
    const giveUpAt = performance.now() + busyForMs
    for (;;) {
      if (this.#isClosed) throw new ConversionWebhookError('ERR_CONVERSION_INBOX_CLOSED')
      try {
        return query()
      } catch (error) {
        if (isConversionWebhookError(error)) throw error
        if (!isBusy(error) || performance.now() > giveUpAt) throw storageError(error)
        await wait(busyPauseMs)
      }
    }
  }
}

const sqliteBusy = 5
const isBusy = (error: unknown): boolean => resultCode(error) === sqliteBusy
