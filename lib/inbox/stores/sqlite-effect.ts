import type { DatabaseSync } from 'node:sqlite'
import { types } from 'node:util'
import { ConversionWebhookError } from '../../errors.js'
import { transactionEnded } from '../ended.js'
import type { Change } from '../store.js'
import { isInTransaction } from './sqlite-driver.js'
import { resultCode } from './sqlite-open.js'
import type { CommitWitness } from './sqlite-witness.js'

interface Failure {
  readonly error: unknown
}

type Effect = Pick<Change<unknown, DatabaseSync>, 'effect' | 'effected'>

/**
 * Runs a user's function after `write`, in a transaction that others share: what both did goes where it throws. One that ended the
 * transaction fails with `isTransactionEnded`, but where SQLite itself rolled back (disk full, `OR ROLLBACK`) and nothing was committed
 * since: a function that swallowed that goes on outside of any transaction.
 */
export function runEffect(
  db: DatabaseSync,
  witness: CommitWitness,
  { effect, effected }: Effect,
  write: () => void,
): Failure | undefined {
  const version = witness.version()
  db.exec('SAVEPOINT conversion_webhook')
  const failure = attempt(() => {
    write()
    const answer = effect?.(db)
    effected?.(answer)
    return answer
  })
  try {
    if (failure) db.exec('ROLLBACK TO conversion_webhook')
    db.exec('RELEASE conversion_webhook')
    return failure
  } catch {
    // The savepoint is gone, and so is the transaction.
    const isUnchanged = version !== undefined && witness.version() === version
    const isRolledBack = failure && !isInTransaction(db) && resultCode(failure.error) !== 0 && isUnchanged
    return isRolledBack ? failure : { error: transactionEnded(failure && { cause: failure.error }) }
  }
}

function attempt(run: () => unknown): Failure | undefined {
  try {
    const value = run()
    if (!isThenable(value)) return undefined
    if (types.isPromise(value)) value.catch(() => undefined)
    throw new ConversionWebhookError('ERR_CONVERSION_COMMIT_INVALID', { values: { why: 'promise' } })
  } catch (error) {
    return { error }
  }
}

/** A promise, or a statement of a library that is sent when it is awaited: after the commit. */
function isThenable(value: unknown): boolean {
  const mayBe = (typeof value === 'object' && value !== null) || typeof value === 'function'
  return mayBe && 'then' in value && typeof value.then === 'function'
}
