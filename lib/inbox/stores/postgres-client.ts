/** What can be asked of a pg client or pool: structural, so that no version's types are forced on anybody. */
export interface Queryable {
  query(text: string, values?: unknown[]): Promise<{ rows: Record<string, unknown>[]; rowCount?: number | null }>
}

/** A connection of a pool, while it is taken. */
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
 * Runs a function in an open transaction, with a client that takes statements before the ones before them are answered. A connection that
 * pipelines sends them at once, which saves a round trip each; for any other one they wait here, since pg warns where they wait in the
 * connection. After a failure nothing more is sent: it would come after the ROLLBACK, and be written outside of the transaction. Rejects
 * when all that was sent is answered.
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
    throw failure.error // what failed first: all that was sent behind it fails with another code
  }
}

/** SQLSTATE, where the server says one. */
export function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}
