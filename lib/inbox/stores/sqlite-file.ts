import { closeSync, openSync, readlinkSync, realpathSync, statSync, type BigIntStats } from 'node:fs'
import { dirname, resolve } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { ConversionWebhookError } from '../../errors.js'
import { fileOf } from './sqlite-driver.js'

/** How many symbolic links Linux follows. */
const maxLinks = 40

/**
 * Makes the file of a database with mode 0600, before SQLite opens it: SQLite would make a file that everybody can read. SQLite gives the files
 * beside it (`-wal`, `-shm`) the same mode. An existing file keeps its mode. Never throws: SQLite reports what is wrong with a path.
 */
export function makePrivately(file: string): void {
  try {
    const path = pathOf(file)
    if (path !== undefined) make(path, maxLinks)
  } catch {
    // The file exists, or cannot be made.
  }
}

/** Fails for a file that exists: to open and close it would drop the locks that SQLite holds on it in this process. */
function make(path: string, links: number): void {
  try {
    closeSync(openSync(path, 'wx', 0o600))
  } catch (error) {
    if (links === 0) throw error
    // The path may be a link to a file that does not exist.
    make(resolve(realpathSync(dirname(path)), readlinkSync(path)), links - 1)
  }
}

/** Says why SQLite cannot open a path, since SQLite's own error does not; undefined if no reason is found. */
export function whyNotOpened(file: string): string | undefined {
  const path = pathOf(file)
  if (path === undefined) return undefined
  try {
    const folder = dirname(path)
    const found = statSync(folder, { throwIfNoEntry: false })
    if (found === undefined) return `the folder ${folder} does not exist. Make it first`
    if (!found.isDirectory()) return `${folder} is no folder`
    const isFolder = statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
    return isFolder ? `${path} is a folder. Give sqliteInbox the path of a file` : undefined
  } catch {
    return undefined // no permission to look
  }
}

/** The file that SQLite makes for a path or a `file:` URI; undefined if SQLite makes none. */
function pathOf(file: string): string | undefined {
  if (!file.startsWith('file:')) return file === ':memory:' ? undefined : file
  const [, encoded, query] = /^file:(?:\/\/(?:localhost)?(?=\/)|(?!\/\/))([^?#]*)\??([^#]*)/.exec(file) ?? []
  const path = encoded?.replace(/(?:%[0-9a-f]{2})+/gi, decodeURIComponent)
  const isMade = (new URLSearchParams(query).get('mode') ?? 'rwc') === 'rwc'
  return path === ':memory:' || !isMade ? undefined : path
}

/**
 * Watches the path of a connection's file. SQLite goes on writing into a file that was moved, deleted or replaced, and reports no error; what is
 * written there is lost. So the path is checked before each use. A lost file stays lost: another file at the path is another inbox.
 */
export class SqlitePlace {
  readonly file: string
  readonly #expected: readonly [file: string | undefined, log: string | undefined]
  #isLost = false

  constructor(db: DatabaseSync) {
    this.file = fileOf(db)
    this.#expected = [identityOf(find(this.file)), identityOf(this.#findLog())]
  }

  /** Returns the bytes of the log. Throws `ERR_CONVERSION_INBOX_MOVED` once the file or its log was not the one that was opened. */
  look(): number {
    const [file, log] = this.#expected
    const found = this.#findLog()
    this.#isLost ||= identityOf(find(this.file)) !== file || (log !== undefined && identityOf(found) !== log)
    if (this.#isLost) throw new ConversionWebhookError('ERR_CONVERSION_INBOX_MOVED')
    return Number(found?.size ?? 0)
  }

  #findLog(): BigIntStats | undefined {
    return find(`${this.file}-wal`)
  }
}

function find(path: string): BigIntStats | undefined {
  return statSync(path, { bigint: true, throwIfNoEntry: false })
}

function identityOf(found: BigIntStats | undefined): string | undefined {
  return found && `${String(found.dev)} ${String(found.ino)}`
}
