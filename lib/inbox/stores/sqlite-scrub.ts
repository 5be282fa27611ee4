import { ConversionWebhookError, isConversionWebhookError } from '../../errors.js'
import type { SqliteCounters } from './sqlite-counters.js'
import type { SqliteLog } from './sqlite-log.js'
import type { SqliteWorkers } from './sqlite-workers.js'

/** How long the log is tried to be cut, which every connection that reads prevents. */
const cutForMs = 30_000

interface Parts {
  readonly log: SqliteLog
  readonly workers: SqliteWorkers
  readonly counters: SqliteCounters
}

type RunQuery = <T>(query: () => T) => Promise<T>

/**
 * Makes what was removed unreadable in the file and its log. Overwriting what is deleted (`secure_delete`) is not enough: pages that were
 * split keep copies, and so does the log. So the file is written anew, and the log is moved into it and cut, in another thread. Nobody writes
 * meanwhile; all processes are told to wait for it.
 *
 * Removals are counted in their own transactions, and forgotten after that: a process that dies before leaves the rest to the next `erase`.
 * Where there is nothing to forget only the log is cut, which holds what was rolled back, too.
 */
export async function scrubSqlite(parts: Parts, read: RunQuery): Promise<void> {
  let isCut: boolean
  try {
    const removals = await read(() => parts.counters.removals())
    isCut = removals === undefined ? await parts.log.cut(cutForMs) : await rewrite(parts, read, removals)
  } catch (cause) {
    if (isConversionWebhookError(cause) && cause.code !== 'ERR_CONVERSION_INBOX_UNAVAILABLE') throw cause
    throw new ConversionWebhookError('ERR_CONVERSION_ERASE_INCOMPLETE', { cause })
  }
  if (!isCut) throw new ConversionWebhookError('ERR_CONVERSION_ERASE_INCOMPLETE')
}

/** Whether the log could be cut. */
async function rewrite({ log, workers, counters }: Parts, read: RunQuery, removals: number): Promise<boolean> {
  const rewriting = await read(() => workers.sayThatIsRewritten())
  let isCut = false
  try {
    isCut = await log.rewriteFile(cutForMs)
  } finally {
    await read(() => {
      workers.forgetWorker(rewriting)
      if (isCut) counters.forgetRemovals(removals)
    })
  }
  return isCut
}
