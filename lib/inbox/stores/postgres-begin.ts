/** The server ends the transaction of a client that is gone, and frees its locks: it may not have heard that the connection is. */
export function limits(withinMs: number): string {
  const ms = String(withinMs)
  return `SELECT set_config('idle_in_transaction_session_timeout', '${ms}', true), set_config('statement_timeout', '${ms}', true)`
}

/** Begins a transaction of ours, in one round trip. What it sets ends with it: it may share its session with others. */
export function begin({ withinMs }: { readonly withinMs?: number } = {}): string {
  return `BEGIN ISOLATION LEVEL READ COMMITTED${withinMs === undefined ? '' : `; ${limits(withinMs)}`}`
}
