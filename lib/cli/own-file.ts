import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { Exit, failure, textOf, usage } from './io.js'

/** SQLite keeps in the header of a file, at byte 68, whose it is: `PRAGMA application_id`. `CWL1` says listen's. */
const mark = 0x43574c31
const markAt = 68
const headerLength = 100

/**
 * Claims a file for `listen`, which delivers what is in it to nobody: one that is not there or empty is made and marked, one that is marked
 * is taken, and any other throws before SQLite opens it, so that nothing about it changes. Gives its whole path.
 */
export function claimFile(file: string): string {
  const path = resolve(file)
  try {
    const header = readHeader(path)
    const isOurs =
      header.length === 0 ? claimEmpty(path) : header.length > markAt + 3 && header.readUInt32BE(markAt) === mark
    if (!isOurs) throw foreign(file)
  } catch (error) {
    throw error instanceof Exit ? error : failure(`${file} cannot be used: ${textOf(error)}`)
  }
  return path
}

/** The first bytes; of a file that is not there none, and then it is. */
function readHeader(path: string): Buffer {
  const opened = openSync(path, 'a+', 0o600)
  try {
    if (!fstatSync(opened).isFile()) throw new Error('it is no file')
    const header = Buffer.alloc(headerLength)
    return header.subarray(0, readSync(opened, header, 0, headerLength, 0))
  } finally {
    closeSync(opened)
  }
}

/** Marks an empty file under its lock; false where somebody else's tables were faster. */
function claimEmpty(path: string): boolean {
  const sqlite = process.getBuiltinModule('node:sqlite')
  if ((sqlite as typeof sqlite | undefined) === undefined) return true // sqliteInbox says which Node it needs
  const db = new sqlite.DatabaseSync(path)
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

function foreign(file: string): Exit {
  return usage(
    `${file} was not made by listen, so an app may use it, and listen would deliver to nobody what waits in it: give listen a file of its own with --file`,
  )
}
