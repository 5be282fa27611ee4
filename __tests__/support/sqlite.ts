import type * as Driver from 'node:sqlite'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const driver = process.getBuiltinModule('node:sqlite') as typeof Driver | undefined

/** Whether this Node has the driver of the SQLite inbox: the core's tests run on older ones, too. */
export const hasSqlite = driver !== undefined

/** A connection of the test's own. */
export function openFile(file: string): Driver.DatabaseSync {
  if (driver === undefined) throw new Error('this Node has no node:sqlite')
  return new driver.DatabaseSync(file)
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
