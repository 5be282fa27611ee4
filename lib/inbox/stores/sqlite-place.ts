import { statSync, type BigIntStats } from 'node:fs'
import type { DatabaseSync } from 'node:sqlite'
import { ConversionWebhookError } from '../../errors.js'
import { fileOf } from './sqlite-open.js'

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
