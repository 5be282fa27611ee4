import type * as Driver from 'node:sqlite'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const driver = process.getBuiltinModule('node:sqlite') as typeof Driver | undefined

/** Whether this Node has the driver of the SQLite inbox: the core's tests run on older ones, too. */
export const hasSqlite = driver !== undefined

/** A connection of the test's own, which waits for those of others. */
export function openFile(file: string): Driver.DatabaseSync {
  if (driver === undefined) throw new Error('this Node has no node:sqlite')
  const db = new driver.DatabaseSync(file)
  db.exec('PRAGMA busy_timeout = 5000')
  return db
}

/** A folder for a test's own file; made with the first one, since what is skipped removes nothing. */
export function temporaryFolder() {
  let folder: string | undefined
  return {
    file(name: string) {
      folder ??= mkdtempSync(join(tmpdir(), 'conversion-webhook-'))
      return join(folder, name)
    },
    remove() {
      if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
      folder = undefined
    },
  }
}
