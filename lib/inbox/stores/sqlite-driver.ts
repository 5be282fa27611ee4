import type * as Driver from 'node:sqlite'
import { ConversionWebhookError } from '../../errors.js'

/* Hides the differences between `node:sqlite` of Node 22.13, the oldest that has it without a flag, and later ones. */

export function requireDriver(): typeof Driver.DatabaseSync {
  try {
    return (require('node:sqlite') as typeof Driver).DatabaseSync
  } catch (cause) {
    const values = { what: 'sqliteInbox', needs: '22.13', has: process.version }
    throw new ConversionWebhookError('ERR_CONVERSION_NODE_UNSUPPORTED', { values, cause })
  }
}

/** Node before 22.15 reads a URI as the path of another file, and ends a path at a NUL. */
export function requireKnownPath(Database: typeof Driver.DatabaseSync, file: string): void {
  if (file.includes('\0')) {
    const values = { why: 'its path holds a NUL character' }
    throw new ConversionWebhookError('ERR_CONVERSION_INBOX_UNAVAILABLE', { values })
  }
  if (!file.startsWith('file:') || takesUris(Database)) return
  const values = { what: 'A file: URI instead of the path of a file', needs: '22.15', has: process.version }
  throw new ConversionWebhookError('ERR_CONVERSION_NODE_UNSUPPORTED', { values })
}

function takesUris(Database: typeof Driver.DatabaseSync): boolean {
  try {
    new Database('file:/?mode=memory').close()
    return true
  } catch {
    return false // a URI would need a folder named `file:`
  }
}

/** Whether a transaction of a connection is open. Node before 22.16 cannot tell, so a BEGIN is tried: it fails inside of a transaction. */
export function isInTransaction(db: Pick<Driver.DatabaseSync, 'exec'> & { readonly isTransaction?: boolean }): boolean {
  if (db.isTransaction !== undefined) return db.isTransaction
  try {
    db.exec('BEGIN')
  } catch {
    return true
  }
  db.exec('ROLLBACK')
  return false
}

/** Runs a function in a transaction that waits for other writers at its start. */
export function transact(db: Driver.DatabaseSync, run: () => void): void {
  db.exec('BEGIN IMMEDIATE')
  try {
    run()
    db.exec('COMMIT')
  } catch (error) {
    if (isInTransaction(db)) db.exec('ROLLBACK')
    throw error
  }
}

/** Opens a second, read-only connection to the file of a connection. */
function openBeside(db: Driver.DatabaseSync): Driver.DatabaseSync {
  const Database = requireDriver()
  return new Database(fileOf(db), { readOnly: true })
}

/** The absolute path of the file of a connection, links resolved. */
export function fileOf(db: Driver.DatabaseSync): string {
  const row = db.prepare(`SELECT file FROM pragma_database_list WHERE name = 'main'`).get()
  return String(row?.file)
}

/** The primary result code of an error of the driver; 0 for other errors. */
export function resultCode(error: unknown): number {
  return typeof error === 'object' && error !== null && 'errcode' in error ? Number(error.errcode) & 0xff : 0
}

/**
 * Tells whether anything was committed to the file of a connection. SQLite counts only the commits of other connections, so a second
 * connection is asked; it is opened at the first call.
 */
export class CommitWitness {
  readonly #db: Driver.DatabaseSync
  #beside: Driver.DatabaseSync | undefined
  #version: Driver.StatementSync | undefined

  constructor(db: Driver.DatabaseSync) {
    this.#db = db
  }

  /** A number that changes with each commit; undefined if it cannot be read. */
  version(): unknown {
    try {
      this.#beside ??= openBeside(this.#db)
      this.#version ??= this.#beside.prepare('PRAGMA data_version')
      return this.#version.get()?.data_version
    } catch {
      return undefined
    }
  }

  close(): void {
    this.#beside?.close()
  }
}
