import { closeSync, openSync, readlinkSync, realpathSync, statSync, type BigIntStats } from 'node:fs'
import { dirname, resolve } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { ConversionWebhookError } from '../../errors.js'
import { fileOf } from './sqlite-driver.js'

/** As many links as Linux follows. */
const maxLinks = 40

/**
 * Makes the file of a database for its owner alone, where SQLite would make it for everybody to read. That happens before SQLite opens it,
 * so that there is no moment in which somebody else could; the log and index beside it (`-wal`, `-shm`) get the mode of the file.
 * A file that is there keeps its mode. Never throws: SQLite says what is wrong with a path.
 */
export function makePrivately(file: string): void {
  try {
    const path = pathOf(file)
    if (path !== undefined) make(path, maxLinks)
  } catch {
    // It is there, or cannot be made.
  }
}

/** Opens nothing that is there: closing a file drops the locks that SQLite holds on it for other connections of this process. */
function make(path: string, links: number): void {
  try {
    closeSync(openSync(path, 'wx', 0o600))
  } catch (error) {
    if (links === 0) throw error
    // What is there may be a link to a file that is not.
    make(resolve(realpathSync(dirname(path)), readlinkSync(path)), links - 1)
  }
}

/** What is wrong with a path that SQLite cannot open, where SQLite itself says no more than that; undefined where nothing is seen. */
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
    return undefined // this process may not even look
  }
}

/** Which file SQLite makes for a path or a `file:` URI; undefined where it makes none. */
function pathOf(file: string): string | undefined {
  if (!file.startsWith('file:')) return file === ':memory:' ? undefined : file
  const [, encoded, query] = /^file:(?:\/\/(?:localhost)?(?=\/)|(?!\/\/))([^?#]*)\??([^#]*)/.exec(file) ?? []
  const path = encoded?.replace(/(?:%[0-9a-f]{2})+/gi, decodeURIComponent)
  const isMade = (new URLSearchParams(query).get('mode') ?? 'rwc') === 'rwc'
  return path === ':memory:' || !isMade ? undefined : path
}

/**
 * Where the file of a connection lies. SQLite writes on into a file that was moved, deleted or replaced, and says that all is well; what is
 * written there is lost. So the path is looked at before each use. A lost file stays lost: another one at the path is another inbox.
 */
export class SqlitePlace {
  readonly file: string
  readonly #expected: readonly [file: string | undefined, log: string | undefined]
  #isLost = false

  constructor(db: DatabaseSync) {
    this.file = fileOf(db)
    this.#expected = [identityOf(find(this.file)), identityOf(this.#findLog())]
  }

  /** The bytes of the log. Throws `ERR_CONVERSION_INBOX_MOVED` from the first time on that the file or its log is not the one that was opened. */
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
