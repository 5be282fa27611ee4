/*
 * What every transaction of ours needs, whatever the database has as its default. It ends with the transaction: the app's own statements,
 * and whoever shares the session behind a pooler, keep their defaults. None of it takes a round trip more.
 */

/** Others commit between our statements, and what they commit counts. */
const isolation = 'ISOLATION LEVEL READ COMMITTED'

/** What is answered is on the disk. A server that waits for more, or a session that wants less of its standbys, stays as it is. */
const durable = `CASE current_setting('synchronous_commit') WHEN 'off' THEN set_config('synchronous_commit', 'on', true) END`

/** The server ends the transaction of a client that is gone, and frees its locks: it may not have heard that the connection is. */
export function limits(withinMs: number): string {
  return `SELECT ${limit(withinMs)}`
}

function limit(withinMs: number): string {
  const ms = String(withinMs)
  return `set_config('idle_in_transaction_session_timeout', '${ms}', true), set_config('statement_timeout', '${ms}', true)`
}

/** Begins a transaction of ours; without a time where it runs what a user sends. */
export function begin({ withinMs }: { readonly withinMs?: number } = {}): string {
  return `BEGIN ${isolation}; SELECT ${durable}${withinMs === undefined ? '' : `, ${limit(withinMs)}`}`
}

/** A statement of pg-boss, or several, that has no parameters, also where it begins a transaction of its own. */
export function readCommitted(text: string): string {
  return `SET TRANSACTION ${isolation}; ${text}`
}
