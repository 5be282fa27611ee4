import { requireOptions } from './callback/reading-options.js'
import { invalidOption } from './errors.js'
import { fieldsOf } from './util/fields-of.js'
import { DurableInbox } from './inbox/durable-inbox.js'
import type { Inbox } from './inbox/inbox.js'
import type { PostgresPool } from './inbox/stores/postgres-client.js'
import type { PostgresClient } from './inbox/stores/postgres-commit-client.js'
import { openPostgres, requireDrivers } from './inbox/stores/postgres-open.js'
import { PostgresStore } from './inbox/stores/postgres.js'

export { ConversionWebhookError, isConversionWebhookError } from './errors.js'
export type { Inbox } from './inbox/inbox.js'
export type { PostgresConnection, PostgresPool } from './inbox/stores/postgres-client.js'
export type { PostgresClient } from './inbox/stores/postgres-commit-client.js'

/**
 * Runs `fn` in the transaction that marks the delivery done: both are committed or neither, and never twice. `fn` gets a client with an open
 * transaction, and may give the client to a library that works with pg. Statements on other connections are not part of the transaction.
 * Resolves after the commit with what `fn` returned. Rejects with what `fn` threw, with `ERR_CONVERSION_ATTEMPT_LAPSED` if the attempt ran
 * out of time or has committed already, with `ERR_CONVERSION_COMMIT_INVALID` and with `ERR_CONVERSION_INBOX_UNAVAILABLE`. If `fn` managed to
 * end the transaction, the delivery is dead at once, since a retry would repeat what `fn` did.
 */
export type PostgresCommit = <T>(fn: (client: PostgresClient) => T | Promise<T>) => Promise<T>

export interface PostgresInboxOptions {
  /** The URL of the database. The inbox opens a pool of at most 20 connections, and one more connection that listens. */
  readonly connectionString?: string | undefined
  /** A pool of the package pg, instead of `connectionString`. The inbox never closes the pool. */
  readonly pool?: PostgresPool | undefined
  /** The schema of all tables, those of pg-boss too. @defaultValue 'conversion_webhook' */
  readonly schema?: string | undefined
}

const optionNames: readonly string[] = ['connectionString', 'pool', 'schema'] satisfies (keyof PostgresInboxOptions)[]

/**
 * An inbox in PostgreSQL, for several processes or machines: a callback that was answered with 200 is committed, and any process with handlers
 * delivers it. Needs the packages pg-boss 12 and pg 8. Connects and makes its tables when it is first used.
 * Throws `ERR_CONVERSION_DRIVER_MISSING`, `ERR_CONVERSION_NODE_UNSUPPORTED`, `ERR_CONVERSION_OPTION_INVALID`. While the database cannot be
 * reached, callbacks are answered with `ERR_CONVERSION_INBOX_UNAVAILABLE` (503).
 *
 * @example app.use('/webhook', conversionWebhook(handlers, { inbox: postgresInbox({ connectionString: process.env.DATABASE_URL }) }))
 */
export function postgresInbox(options: PostgresInboxOptions): Inbox<PostgresCommit> {
  const fields = fieldsOf(options)
  if (fields === undefined) throw invalidOption('The argument of postgresInbox', 'be an object of options', options)
  requireOptions(fields, optionNames)
  const { connectionString, pool, schema = 'conversion_webhook' } = options
  if ('connectionString' in fields && pool === undefined && typeof connectionString !== 'string') {
    throw invalidOption('connectionString', 'be a text', connectionString)
  }
  if ((connectionString === undefined) === (pool === undefined)) {
    throw invalidOption('postgresInbox', 'get either a connectionString or a pool')
  }
  if (pool !== undefined && typeof (pool as Partial<PostgresPool> | null)?.connect !== 'function') {
    throw invalidOption('pool', 'be a pool of the package pg', pool)
  }
  if (typeof schema !== 'string' || !/^[a-z_][a-z0-9_]{0,48}$/.test(schema)) {
    throw invalidOption('schema', 'be a name of lower-case letters, digits and _, of at most 49 characters')
  }
  const drivers = requireDrivers()
  const onError = (error: unknown): void => {
    inbox.report(error)
  }
  const store = new PostgresStore((quarantineBudget, closing) =>
    openPostgres(drivers, { connectionString, pool, schema, quarantineBudget, onError }, closing),
  )
  const inbox = new DurableInbox<PostgresClient, PostgresCommit>(store)
  return inbox
}
