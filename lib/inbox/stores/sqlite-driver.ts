import type * as Driver from 'node:sqlite'
import { ConversionWebhookError } from '../../errors.js'

/* What `node:sqlite` of Node 22.13, the oldest that has it without a flag, does otherwise than later ones. */

export function requireDriver(): typeof Driver.DatabaseSync {
  try {
    return (require('node:sqlite') as typeof Driver).DatabaseSync
  } catch (cause) {
    const values = { what: 'sqliteInbox', needs: '22.13', has: process.version }
    throw new ConversionWebhookError('ERR_CONVERSION_NODE_UNSUPPORTED', { values, cause })
  }
}

/** Node before 22.15 takes a URI for the path of another file, and the beginning of a path for the whole, up to a NUL. */
export function requireKnownPath(Database: typeof Driver.DatabaseSync, file: string): void {
  if (file.includes('\0')) {
    throw new ConversionWebhookError('ERR_CONVERSION_INBOX_UNAVAILABLE', {
      values: { why: 'its path holds a NUL character' },
    })
  }
  if (!file.startsWith('file:') || takesUris(Database)) return
  const values = { what: 'A file: URI instead of the path of a file', needs: '22.15', has: process.version }
  throw new ConversionWebhookError('ERR_CONVERSION_NODE_UNSUPPORTED', { values })
}

function takesUris(Database: typeof Driver.DatabaseSync): boolean {
  try {
    new Database('file:/?mode=memory').close()
    return true
  } catch {
    return false // no folder has the name `file:`
  }
}

/** Whether a transaction of a connection is open. Node before 22.16 does not say: a second BEGIN, which takes no lock, is refused there. */
export function isInTransaction(db: Pick<Driver.DatabaseSync, 'exec'> & { readonly isTransaction?: boolean }): boolean {
  if (db.isTransaction !== undefined) return db.isTransaction
  try {
    db.exec('BEGIN')
  } catch {
    return true
  }
  db.exec('ROLLBACK')
  return false
}
