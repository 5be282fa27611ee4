import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { openBeside } from './sqlite-open.js'

/**
 * Tells whether something was committed to the file of a connection, by that connection too: SQLite counts the commits of the others only,
 * so that a second connection has to look. Made when it is asked first.
 */
export class CommitWitness {
  readonly #db: DatabaseSync
  #beside: DatabaseSync | undefined
  #version: StatementSync | undefined

  constructor(db: DatabaseSync) {
    this.#db = db
  }

  /** Asked twice, it is the same where nothing was committed in between; undefined where nobody can tell. */
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
