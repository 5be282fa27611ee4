import { randomUUID } from 'node:crypto'
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { text } from './rows.js'
import { preparing } from './sqlite-sql.js'
import { ConversionWebhookError, isConversionWebhookError } from '../../errors.js'
import type { SqliteCounters } from './sqlite-counters.js'
import type { SqliteLog } from './sqlite-log.js'

const deliveries = 'conversion_webhook_deliveries'
const workers = 'conversion_webhook_workers'

/** The names, among the workers, of each `erase` that writes the file anew begin so: nobody can write for a while. */
const rewriting = 'rewriting:'

/** The processes that deliver from a file, and their beats. */
export class SqliteWorkers {
  readonly #sql: (sql: string) => StatementSync

  constructor(db: DatabaseSync) {
    this.#sql = preparing(db)
  }

  beat(owner: string): void {
    const beat = `INSERT INTO ${workers} (id, beat) VALUES (?, 1) ON CONFLICT (id) DO UPDATE SET beat = beat + 1`
    this.#sql(beat).run(owner)
  }

  /** Records an owner as a worker, if it is none: other processes remove a worker that was paused for long. */
  enrol(owner: string): void {
    this.#sql(`INSERT OR IGNORE INTO ${workers} (id, beat) VALUES (?, 1)`).run(owner)
  }

  /** The beats of the other workers. */
  beats(owner: string): ReadonlyMap<string, number> {
    const rows = this.#sql(`SELECT id, beat FROM ${workers} WHERE id <> ?`).all(owner)
    return new Map(rows.map(({ id, beat }) => [text(id), Number(beat)]))
  }

  /** Owners of running deliveries that are no workers: other processes removed them as gone. */
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

  isRewritten(): boolean {
    return this.#sql(`SELECT 1 FROM ${workers} WHERE id >= ? AND id < ?`).get(rewriting, `${rewriting}~`) !== undefined
  }
}

/** Milliseconds during which truncating the log is tried again: any connection that reads prevents it. */
const cutForMs = 30_000

interface Parts {
  readonly log: SqliteLog
  readonly workers: SqliteWorkers
  readonly counters: SqliteCounters
}

type RunQuery = <T>(query: () => T) => Promise<T>

/**
 * Makes removed data unreadable in the file and its log. `secure_delete` overwrites what is deleted, but split pages and the log keep copies.
 * So a thread writes the file anew, moves the log into it and truncates the log. All processes wait meanwhile, and none can write.
 *
 * Each removal is counted in its own transaction. The count is reset when the file is written anew, so that after a crash the next `erase`
 * finishes the work. If nothing was removed, only the log is truncated, since it also holds what was rolled back.
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

/** Resolves with whether the log could be truncated. */
async function rewrite({ log, workers, counters }: Parts, read: RunQuery, removals: number): Promise<boolean> {
  const announcement = `${rewriting}${randomUUID()}`
  await read(() => {
    workers.enrol(announcement)
  })
  let isCut = false
  try {
    isCut = await log.cut(cutForMs, true)
  } finally {
    await read(() => {
      workers.forgetWorker(announcement)
      if (isCut) counters.forgetRemovals(removals)
    })
  }
  return isCut
}
