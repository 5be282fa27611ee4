import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { storageError, ConversionWebhookError } from '../../errors.js'
import { isThenable } from '../../util/kind-of.js'
import type { Ended } from '../group.js'
import { isTransactionEnded, transactionEnded, type Change, type Changed, type Found } from '../store.js'
import { keptWith, type QuarantinedCallback } from '../quarantine.js'
import { countDeliveries } from '../records.js'
import { Tally } from '../tally.js'
import { isInTransaction, CommitWitness, resultCode } from './sqlite-driver.js'
import type { KeptClaims } from './sqlite-kept.js'
import { SqliteFound, type SqliteRows } from './sqlite-rows.js'
import type { SqliteQuarantine } from './sqlite-quarantine.js'
import type { SqliteWorkers } from './sqlite-workers.js'
import { types } from 'node:util'

export type AnyChange = Change<unknown, DatabaseSync>

/** The process that makes changes. */
interface Maker {
  readonly owner: string
  readonly now: () => number
  readonly workers: Pick<SqliteWorkers, 'enrol'>
  /** Called when the file is locked, before the first write. Throws if this process must not write. */
  readonly checkFile: () => void
  readonly kept: KeptClaims
}

/** Makes many changes in one transaction, and so with one fsync. */
export class SqliteTransactions {
  readonly #db: DatabaseSync
  readonly #rows: SqliteRows
  readonly #quarantine: SqliteQuarantine
  readonly #maker: Maker
  readonly #witness: CommitWitness
  readonly #begin: StatementSync
  readonly #end: StatementSync

  constructor(db: DatabaseSync, rows: SqliteRows, quarantine: SqliteQuarantine, maker: Maker) {
    this.#db = db
    this.#rows = rows
    this.#quarantine = quarantine
    this.#maker = maker
    this.#witness = new CommitWitness(db)
    this.#begin = db.prepare('BEGIN IMMEDIATE')
    this.#end = db.prepare('COMMIT')
  }

  /**
   * Makes all changes that are not in `broken`. If the effect of a change ends the transaction, adds that change to `broken`: then nothing is
   * recorded. Throws SQLite's errors, and leaves a transaction open that was open.
   */
  make(changes: readonly AnyChange[], broken: Map<AnyChange, unknown>): readonly Ended[] {
    const { owner: self, now, workers, checkFile, kept: keptClaims } = this.#maker
    this.#begin.run()
    checkFile()
    keptClaims.begin()
    const transaction = new SqliteFound(this.#rows, this.#quarantine, keptClaims)
    const tally = new Tally()
    const ends = changes.map((change): Ended => {
      if (broken.has(change)) return { error: broken.get(change) }
      let found: Found
      let changed: Changed<unknown>
      let kept: QuarantinedCallback | undefined
      try {
        found = transaction.find(change)
        changed = change.apply(found)
        kept = changed.conflict && this.#quarantine.find(changed.conflict.id)
      } catch (error) {
        return { error: storageError(error) }
      }
      const { record, quarantined } = changed
      const before = record && transaction.record(record.id)
      const write = (): void => {
        if (record) this.#rows.writeRecord(before, record)
        if (record?.deliveries.some(({ owner }) => owner === self)) workers.enrol(self)
        for (const order of changed.reserved ?? []) if (record) this.#rows.reserve(order, record)
        if (quarantined) this.#quarantine.write(found.quarantined, quarantined)
        if (changed.conflict) this.#quarantine.write(kept, keptWith(kept, changed.conflict))
        if (changed.counted) tally.callback(changed.counted)
        if (record) countDeliveries(before, record, tally)
      }
      if (change.effect) {
        this.#rows.counters.take(tally)
        const failure = runEffect(this.#db, this.#witness, change, () => {
          write()
          this.#rows.counters.take(tally) // written before the effect: an effect that ends the transaction commits what was written so far
        })
        keptClaims.forget() // an effect may have written to any table
        if (failure && (isTransactionEnded(failure.error) || !isInTransaction(this.#db))) {
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
    this.#quarantine.limit(now())
    this.#rows.counters.take(tally)
    this.#end.run()
    if (!changes.some(({ effect }) => effect)) keptClaims.keep(transaction.records)
    return ends
  }

  close(): void {
    this.#witness.close()
  }
}

interface Failure {
  readonly error: unknown
}

/**
 * Runs a user's function after `write`, in a transaction with other changes. If the function throws, its writes and those of `write` are
 * rolled back. If it ended the transaction, the error is `isTransactionEnded`; not so if SQLite itself rolled back (disk full, `OR ROLLBACK`)
 * and nothing was committed since, by a function that ignored that error.
 */
function runEffect(
  db: DatabaseSync,
  witness: CommitWitness,
  { effect, effected }: AnyChange,
  write: () => void,
): Failure | undefined {
  const version = witness.version()
  db.exec('SAVEPOINT conversion_webhook')
  const failure = attempt(() => {
    write()
    const answer = effect?.(db)
    effected?.(answer)
    return answer
  })
  try {
    if (failure) db.exec('ROLLBACK TO conversion_webhook')
    db.exec('RELEASE conversion_webhook')
    return failure
  } catch {
    // Without the savepoint there is no transaction either.
    const isUnchanged = version !== undefined && witness.version() === version
    const isRolledBack = failure && !isInTransaction(db) && resultCode(failure.error) !== 0 && isUnchanged
    return isRolledBack ? failure : { error: transactionEnded(failure && { cause: failure.error }) }
  }
}

function attempt(run: () => unknown): Failure | undefined {
  try {
    const value = run()
    if (!isThenable(value)) return undefined
    // A promise, or a statement of a library that is sent when it is awaited: that would be after the commit.
    if (types.isPromise(value)) value.catch(() => undefined)
    throw new ConversionWebhookError('ERR_CONVERSION_COMMIT_INVALID', { values: { why: 'promise' } })
  } catch (error) {
    return { error }
  }
}
