import type { DatabaseSync } from 'node:sqlite'
import { invalidOption } from './errors.js'
import { DurableInbox } from './inbox/durable-inbox.js'
import type { Inbox } from './inbox/inbox.js'
import { openSqlite } from './inbox/stores/sqlite-open.js'
import { SqliteStore } from './inbox/stores/sqlite.js'

export { ConversionWebhookError, isConversionWebhookError } from './errors.js'
export type { Inbox } from './inbox/inbox.js'

/**
 * Runs `fn` in the transaction that marks the delivery done: both are committed or neither, and never twice. `fn` is synchronous and gets the
 * connection of the inbox, so the tables that it writes must be in the same file. `fn` must not end the transaction. Resolves after the commit
 * with what `fn` returned. Rejects with what `fn` threw, with `ERR_CONVERSION_ATTEMPT_LAPSED` if the attempt ran out of time or has committed
 * already, with `ERR_CONVERSION_COMMIT_INVALID` for a promise, and with `ERR_CONVERSION_INBOX_UNAVAILABLE`.
 */
export type SqliteCommit = <T>(fn: (db: DatabaseSync) => T extends PromiseLike<unknown> ? never : T) => Promise<T>

/**
 * An inbox in a SQLite file, for one machine: a callback that was answered with 200 is on disk, and a crash loses no delivery. Several
 * processes may share the file. The file may be the app's own database; the names of the inbox's tables begin with `conversion_webhook_`.
 * Throws `ERR_CONVERSION_NODE_UNSUPPORTED` before Node 22.13, `ERR_CONVERSION_INBOX_CORRUPT`, `ERR_CONVERSION_INBOX_NEWER`, and
 * `ERR_CONVERSION_INBOX_UNAVAILABLE` if the file cannot be opened.
 *
 * @example app.use('/webhook', conversionWebhook(handlers, { inbox: sqliteInbox('conversions.db') }))
 */
export function sqliteInbox(file: string): Inbox<SqliteCommit> {
  if (typeof file !== 'string' || file === '') {
    throw invalidOption('sqliteInbox', 'get the path of a file, such as conversions.db', file)
  }
  return new DurableInbox<DatabaseSync, SqliteCommit>(new SqliteStore(openSqlite(file)))
}
