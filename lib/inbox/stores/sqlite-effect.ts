import type { DatabaseSync } from 'node:sqlite'
import { types } from 'node:util'
import { ConversionWebhookError } from '../../errors.js'

/** Runs a user's function in a transaction that others share: what it did goes with it when it throws. */
export function savepoint(db: DatabaseSync, run: () => void): { readonly error: unknown } | undefined {
  db.exec('SAVEPOINT conversion_webhook')
  try {
    run()
  } catch (error) {
    if (db.isTransaction) {
      db.exec('ROLLBACK TO conversion_webhook')
      db.exec('RELEASE conversion_webhook')
    }
    return { error }
  }
  db.exec('RELEASE conversion_webhook')
  return undefined
}

/** Throws where a user's function has ended the transaction, or did not end itself: `value` is what it returned. */
export function requireDone(db: DatabaseSync, value: unknown): void {
  if (!db.isTransaction) {
    const message = 'The function given to commit ended the transaction that it runs in.'
    throw new ConversionWebhookError('ERR_CONVERSION_COMMIT_INVALID', { message })
  }
  if (!types.isPromise(value)) return
  value.catch(() => undefined)
  const message = 'The function given to commit must be synchronous: it runs inside a SQLite transaction.'
  throw new ConversionWebhookError('ERR_CONVERSION_COMMIT_INVALID', { message })
}
