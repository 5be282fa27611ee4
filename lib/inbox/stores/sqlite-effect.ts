import type { DatabaseSync } from 'node:sqlite'
import { types } from 'node:util'
import { ConversionWebhookError } from '../../errors.js'
import { transactionEnded } from '../ended.js'
import { resultCode } from './sqlite-open.js'

interface Failure {
  readonly error: unknown
}

/**
 * Runs a user's function in a transaction that others share: what it did goes with it when it throws. One that ended the transaction
 * fails with `isTransactionEnded`, but where SQLite itself rolled back (disk full, `OR ROLLBACK`): `isUnchanged` says that nothing of the
 * transaction is in the file.
 */
export function runEffect(db: DatabaseSync, run: () => unknown, isUnchanged: () => boolean): Failure | undefined {
  db.exec('SAVEPOINT conversion_webhook')
  const failure = attempt(run)
  try {
    if (failure) db.exec('ROLLBACK TO conversion_webhook')
    db.exec('RELEASE conversion_webhook')
    return failure
  } catch {
    // The savepoint is gone, and so is the transaction.
    const isRolledBack = failure && !db.isTransaction && resultCode(failure.error) !== 0 && isUnchanged()
    return isRolledBack ? failure : { error: transactionEnded(failure && { cause: failure.error }) }
  }
}

function attempt(run: () => unknown): Failure | undefined {
  try {
    const value = run()
    if (!types.isPromise(value)) return undefined
    value.catch(() => undefined)
    const message = 'The function given to commit must be synchronous: it runs inside a SQLite transaction.'
    throw new ConversionWebhookError('ERR_CONVERSION_COMMIT_INVALID', { message })
  } catch (error) {
    return { error }
  }
}
