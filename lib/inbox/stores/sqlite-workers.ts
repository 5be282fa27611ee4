import { randomUUID } from 'node:crypto'
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { text } from './rows.js'
import { preparing } from './sqlite-sql.js'
import { ConversionWebhookError, isConversionWebhookError } from '../../errors.js'
import type { SqliteCounters } from './sqlite-counters.js'
import type { SqliteLog } from './sqlite-log.js'

const deliveries = 'conversion_webhook_deliveries'
const workers = 'conversion_webhook_workers'

/** What an `erase` is called that writes the file anew. */
const rewriting = 'rewriting:'

/** The processes that deliver from a file, and their beats. */
export class SqliteWorkers {
  readonly #sql: (sql: string) => StatementSync

  constructor(db: DatabaseSync) {
    this.#sql = preparing(db)
  }

  beat(owner: string): void {
    this.#sql(`INSERT INTO ${workers} (id, beat) VALUES (?, 1) ON CONFLICT (id) DO UPDATE SET beat = beat + 1`).run(
      owner,
    )
  }

  /** Makes sure that an owner is a worker: one that was stopped for long has been forgotten by the others. */
  enrol(owner: string): void {
    this.#sql(`INSERT OR IGNORE INTO ${workers} (id, beat) VALUES (?, 1)`).run(owner)
  }

  /** The beats of the other workers. */
  beats(owner: string): ReadonlyMap<string, number> {
    const rows = this.#sql(`SELECT id, beat FROM ${workers} WHERE id <> ?`).all(owner)
    return new Map(rows.map(({ id, beat }) => [text(id), Number(beat)]))
  }

  /** Owners of running deliveries that are no worker: they were taken for gone. */
  unknownOwners(): readonly string[] {
    const rows = this.#sql(
      `SELECT DISTINCT owner FROM ${deliveries} WHERE state = 'running' AND owner NOT IN (SELECT id FROM ${workers})`,
    ).all()
    return rows.map(({ owner }) => text(owner))
  }

  /** Removes a worker that runs nothing. */
  forgetWorker(owner: string): void {
    this.#sql(
      `DELETE FROM ${workers} WHERE id = ? AND NOT EXISTS (SELECT 1 FROM ${deliveries} WHERE state = 'running' AND owner = ?)`,
    ).run(owner, owner)
  }

  /** Says to all processes that nobody will write for a while; gives the worker that is to be forgotten afterwards. */
  sayThatIsRewritten(): string {
    const id = `${rewriting}${randomUUID()}`
    this.enrol(id)
    return id
  }

  isRewritten(): boolean {
    return this.#sql(`SELECT 1 FROM ${workers} WHERE id >= ? AND id < ?`).get(rewriting, `${rewriting}~`) !== undefined
  }
}

/** How long the log is tried to be cut, which every connection that reads prevents. */
const cutForMs = 30_000

interface Parts {
  readonly log: SqliteLog
  readonly workers: SqliteWorkers
  readonly counters: SqliteCounters
}

type RunQuery = <T>(query: () => T) => Promise<T>

/**
 * Makes what was removed unreadable in the file and its log. Overwriting what is deleted (`secure_delete`) is not enough: pages that were
 * split keep copies, and so does the log. So the file is written anew, and the log is moved into it and cut, in another thread. Nobody writes
 * meanwhile; all processes are told to wait for it.
 *
 * Removals are counted in their own transactions, and forgotten after that: a process that dies before leaves the rest to the next `erase`.
 * Where there is nothing to forget only the log is cut, which holds what was rolled back, too.
 */
export async function scrubSqlite(parts: Parts, read: RunQuery): Promise<void> {
  let isCut: boolean
  try {
    const removals = await read(() => parts.counters.removals())
    isCut = removals === undefined ? await parts.log.cut(cutForMs) : await rewrite(parts, read, removals)
  } catch (cause) {
    if (isConversionWebhookError(cause) && cause.code !== 'ERR_CONVERSION_INBOX_UNAVAILABLE') throw cause
    throw new ConversionWebhookError('ERR_CONVERSION_ERASE_INCOMPLETE', { cause })
  }
  if (!isCut) throw new ConversionWebhookError('ERR_CONVERSION_ERASE_INCOMPLETE')
}

/** Whether the log could be cut. */
async function rewrite({ log, workers, counters }: Parts, read: RunQuery, removals: number): Promise<boolean> {
  const rewriting = await read(() => workers.sayThatIsRewritten())
  let isCut = false
  try {
    isCut = await log.rewriteFile(cutForMs)
  } finally {
    await read(() => {
      workers.forgetWorker(rewriting)
      if (isCut) counters.forgetRemovals(removals)
    })
  }
  return isCut
}
