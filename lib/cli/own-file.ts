import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import type * as Sqlite from 'node:sqlite'
import { ConversionWebhookError } from 'conversion-webhook'
import { Exit, usage } from './io.js'

/** The `application_id` of files that listen made (`CWL1`). SQLite stores it at byte 68 of a file's header. */
const mark = 0x43574c31
const markAt = 68
const headerLength = 100

/**
 * Accepts a file for `listen` and returns its absolute path. A missing or empty file is created and marked. Any other file without the mark
 * throws before SQLite opens it: it may be an app's, whose waiting deliveries `listen` would settle without running a handler.
 * Throws `ERR_CONVERSION_INBOX_UNAVAILABLE` if the file cannot be read or created.
 */
export function claimFile(file: string): string {
  const path = resolve(file)
  const sqlite = process.getBuiltinModule('node:sqlite') as typeof Sqlite | undefined
  if (sqlite === undefined) return path // sqliteInbox throws the error that names the Node version
  try {
    const header = readHeader(path)
    const isOurs =
      header.length === 0
        ? claimEmpty(path, sqlite)
        : header.length > markAt + 3 && header.readUInt32BE(markAt) === mark
    if (!isOurs)
      throw usage(
        `${file} was not made by listen. An app may use it, and listen would settle the app's deliveries without running its handlers: give listen a file of its own with --file`,
      )
  } catch (error) {
    throw error instanceof Exit
      ? error
      : new ConversionWebhookError('ERR_CONVERSION_INBOX_UNAVAILABLE', { cause: error })
  }
  return path
}

/** The header of a file, empty if the file is. Creates a missing file. */
function readHeader(path: string): Buffer {
  const opened = openSync(path, 'a+', 0o600)
  try {
    if (!fstatSync(opened).isFile()) throw new Error('it is not a regular file')
    const header = Buffer.alloc(headerLength)
    return header.subarray(0, readSync(opened, header, 0, headerLength, 0))
  } finally {
    closeSync(opened)
  }
}

/** Marks an empty file under SQLite's write lock; false if another program has written tables meanwhile. */
function claimEmpty(path: string, { DatabaseSync }: typeof Sqlite): boolean {
  const db = new DatabaseSync(path)
  try {
    db.exec('PRAGMA busy_timeout = 5000; BEGIN IMMEDIATE')
    if (statSync(path).size === 0) db.exec(`PRAGMA application_id = ${String(mark)}`)
    const isOurs = db.prepare('PRAGMA application_id').get()?.application_id === mark
    db.exec(isOurs ? 'COMMIT' : 'ROLLBACK')
    return isOurs
  } finally {
    db.close()
  }
}
