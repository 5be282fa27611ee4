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
 * A connection that takes statements before the ones before them are answered. One that pipelines sends them at once, which saves a round
 * trip each; for any other one they wait here, since pg warns where they wait in the connection.
 */
export function inOrder(connection: Queryable): Queryable {
  if ('pipeline' in connection && connection.pipeline === true) return connection
  let last: Promise<unknown> = Promise.resolve()
  return {
    query: (text, values) => {
      const answer = last.then(() => connection.query(text, values))
      last = answer.catch(() => undefined)
      return answer
    },
  }
}

/** SQLSTATE, where the server says one. */
export function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}
