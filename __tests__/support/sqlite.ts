import type * as Driver from 'node:sqlite'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const driver = process.getBuiltinModule('node:sqlite') as typeof Driver | undefined

/** Whether this Node has node:sqlite. The core's tests also run on older versions without it. */
export const hasSqlite = driver !== undefined

/** Opens a connection of the test, which waits up to its busy timeout for locks of others. */
export function openFile(file: string): Driver.DatabaseSync {
  if (driver === undefined) throw new Error('this Node has no node:sqlite')
  const db = new driver.DatabaseSync(file)
  db.exec('PRAGMA busy_timeout = 5000')
  return db
}

/** A temporary folder for the files of a test. It is created with the first file: skipped tests never call `remove`. */
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
