/** A client or pool of the package pg: structural, so that the types of any version fit. */
export interface Queryable {
  query(text: string, values?: unknown[]): Promise<{ rows: Record<string, unknown>[]; rowCount?: number | null }>
}

/** A connection that was taken from a pool. */
export interface PostgresConnection extends Queryable {
  release(error?: Error | boolean): void
  on(event: 'error', listener: (error: Error) => void): unknown
  off(event: 'error', listener: (error: Error) => void): unknown
}

/** A pool of the package pg. */
export interface PostgresPool extends Queryable {
  connect(): Promise<PostgresConnection>
  end(): Promise<void>
  on(event: 'error', listener: (error: Error) => void): unknown
}

/**
 * Runs a function in an open transaction. The function may send a statement before the previous one is answered. A connection that
 * pipelines sends both at once, which saves a round trip; for other connections the statements wait here, since pg warns if they wait in the
 * connection. After a failure no further statement is sent: it would run after the ROLLBACK, outside of the transaction. Rejects when
 * everything that was sent is answered.
 */
export async function inOrder<T>(connection: Queryable, run: (client: Queryable) => Promise<T>): Promise<T> {
  const isPipelined = 'pipeline' in connection && connection.pipeline === true
  let failure: { readonly error: unknown } | undefined
  let last: Promise<unknown> = Promise.resolve()
  async function send(text: string, values?: unknown[]) {
    if (failure !== undefined) throw failure.error
    try {
      return await connection.query(text, values)
    } catch (error) {
      failure ??= { error }
      throw error
    }
  }
  try {
    return await run({
      query: (text, values) => {
        const answer = isPipelined ? send(text, values) : last.then(() => send(text, values))
        last = answer.catch(() => undefined)
        return answer
      },
    })
  } catch (error) {
    failure ??= { error }
    await last
    throw failure.error // the first failure: the statements behind it fail with another code
  }
}

/** Does the same, then commits. */
export async function committed<T>(connection: Queryable, run: (client: Queryable) => Promise<T>): Promise<T> {
  const result = await inOrder(connection, run)
  await connection.query('COMMIT')
  return result
}

/** Handles a rejection that nobody waits for, or the error event of a lost connection: without it the process would end. */
export function ignore(): void {
  // Nothing to do, or nobody to tell.
}

/** The SQLSTATE of an error of the server; undefined for other errors. */
export function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}
