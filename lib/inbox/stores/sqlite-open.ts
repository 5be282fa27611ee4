import type * as Driver from 'node:sqlite'
import { ConversionWebhookError, isConversionWebhookError } from '../../errors.js'
import { requireDriver, requireKnownPath, resultCode } from './sqlite-driver.js'
import { makePrivately, whyNotOpened } from './sqlite-file.js'
import { migrate } from './sqlite-schema.js'

/** The driver would block the process while it waits for a lock, so it does not wait: the caller tries again. */
const busyTimeoutMs = 0
const busyTimeoutAtStartMs = 5_000

/** SQLite's result codes for a damaged file and for a file that is no database. */
const damaged: readonly number[] = [11, 26]

const inMemory =
  'a database in memory is lost with the process. Give sqliteInbox the path of a file, or use memoryInbox()'

/** Opens a file with the durability that the inbox promises, and brings its tables up to date. */
export function openSqlite(file: string): Driver.DatabaseSync {
  const Database = requireDriver()
  requireKnownPath(Database, file)
  let db: Driver.DatabaseSync | undefined
  try {
    makePrivately(file)
    db = new Database(file)
    db.exec(`PRAGMA busy_timeout = ${String(busyTimeoutAtStartMs)}`)
    const mode = db.prepare('PRAGMA journal_mode = WAL').get()?.journal_mode
    if (mode !== 'wal') {
      const isInMemory = mode === 'memory'
      const why = isInMemory
        ? inMemory
        : `it needs a file that SQLite can log ahead of, and the journal mode is ${String(mode)} instead of wal`
      throw new ConversionWebhookError('ERR_CONVERSION_INBOX_UNAVAILABLE', { values: { why } })
    }
    // FULL: a commit is on the disk when it returns. secure_delete: what is erased is overwritten.
    // cache_size: 16 MiB, so that the inner pages of all indexes of a million conversions stay in memory.
    db.exec('PRAGMA synchronous = FULL; PRAGMA secure_delete = ON; PRAGMA cache_size = -16384')
    migrate(db)
    db.exec(`PRAGMA busy_timeout = ${String(busyTimeoutMs)}`)
    return db
  } catch (cause) {
    db?.close()
    if (isConversionWebhookError(cause)) throw cause
    if (damaged.includes(resultCode(cause))) {
      const what = 'The file of the inbox is damaged, or no SQLite database'
      throw new ConversionWebhookError('ERR_CONVERSION_INBOX_CORRUPT', { values: { what }, cause })
    }
    const why = whyNotOpened(file) ?? messageOf(cause)
    throw new ConversionWebhookError('ERR_CONVERSION_INBOX_UNAVAILABLE', { values: { why }, cause })
  }
}

/** Errors of the driver may be of another realm. */
function messageOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'message' in error ? String(error.message) : String(error)
}
