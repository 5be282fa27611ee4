import { closeSync, openSync, readlinkSync, realpathSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'

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
