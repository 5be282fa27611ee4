/** What can be asked of a pg client or pool: structural, so that no version's types are forced on anybody. */
export interface Queryable {
  query(text: string, values?: unknown[]): Promise<{ rows: Record<string, unknown>[]; rowCount?: number | null }>
}

export interface PostgresClient extends Queryable {
  release(error?: Error | boolean): void
  on(event: 'error', listener: (error: Error) => void): unknown
  off(event: 'error', listener: (error: Error) => void): unknown
}

/** A pool of the package pg. */
export interface PostgresPool extends Queryable {
  connect(): Promise<PostgresClient>
  end(): Promise<void>
  on(event: 'error', listener: (error: Error) => void): unknown
}

const connectWithinMs = 5_000
const transactWithinMs = 15_000

/**
 * Runs a function in a transaction on a client of the pool. A pool that gives no client, and a server that does not answer, end in an
 * error: a request is waiting. The connection of a transaction that failed in an unknown state is not used again.
 */
export async function transaction<T>(
  pool: PostgresPool,
  run: (client: PostgresClient) => Promise<T>,
  withinMs = transactWithinMs,
): Promise<T> {
  const client = await connect(pool)
  client.on('error', ignore)
  let isBroken = true
  let timer: NodeJS.Timeout | undefined
  try {
    const late = new Promise<never>((_resolve, reject) => {
      if (withinMs === Infinity) return
      timer = setTimeout(() => {
        reject(new Error(`PostgreSQL did not answer within ${String(withinMs)} ms`))
      }, withinMs)
    })
    const result = await Promise.race([late, inTransaction(client, run)])
    isBroken = false
    return result
  } catch (error) {
    isBroken = !(await Promise.race([rolledBack(client), soon(false)]))
    throw error
  } finally {
    clearTimeout(timer)
    client.off('error', ignore)
    client.release(isBroken)
  }
}

/** A connection that is lost while a client is taken says so to nobody but us, and its query rejects as well. */
function ignore(): void {
  // Without a listener it would end the process.
}

async function inTransaction<T>(client: PostgresClient, run: (client: PostgresClient) => Promise<T>): Promise<T> {
  await client.query('BEGIN ISOLATION LEVEL READ COMMITTED')
  const result = await run(client)
  await client.query('COMMIT')
  return result
}

function rolledBack(client: PostgresClient): Promise<boolean> {
  return client.query('ROLLBACK').then(
    () => true,
    () => false,
  )
}

function soon<T>(value: T): Promise<T> {
  return new Promise((resolve) => {
    setTimeout(resolve, 1_000, value).unref()
  })
}

async function connect(pool: PostgresPool): Promise<PostgresClient> {
  const connecting = pool.connect()
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, connectWithinMs, undefined)
  })
  const client = await Promise.race([connecting, late]).finally(() => {
    clearTimeout(timer)
  })
  if (client !== undefined) return client
  connecting.then(
    (unused) => {
      unused.release()
    },
    () => undefined,
  )
  throw new Error(`the pool gave no connection within ${String(connectWithinMs)} ms`)
}
