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

const connectWithinMs = 5_000
const transactWithinMs = 15_000

/**
 * Runs a function in a transaction on a connection of the pool. A pool that gives no connection, and a server that does not answer, end
 * in an error: a request is waiting.
 */
export function transaction<T>(pool: PostgresPool, run: (client: Queryable) => Promise<T>): Promise<T> {
  return onConnection(pool, (connection) => inTime(inTransaction(connection, run)))
}

/** What a server that does not answer rejects with. Who asked it may go on where the answer comes after all. */
class Unanswered extends Error {
  constructor() {
    super(`PostgreSQL did not answer within ${String(transactWithinMs)} ms`)
  }
}

/**
 * Takes a connection of the pool; one that failed in an unknown state is not used again, and neither is one that did not answer: its
 * transaction would go on after a ROLLBACK, statement by statement.
 */
export async function onConnection<T>(
  pool: PostgresPool,
  use: (connection: PostgresConnection) => Promise<T>,
): Promise<T> {
  const connection = await connect(pool)
  connection.on('error', ignore)
  let isBroken = true
  try {
    const result = await use(connection)
    isBroken = false
    return result
  } catch (error) {
    isBroken = error instanceof Unanswered || !(await Promise.race([rolledBack(connection), soon(false)]))
    throw error
  } finally {
    connection.off('error', ignore)
    connection.release(isBroken)
  }
}

/** What the server answered; rejects where that takes too long. */
export async function inTime<T>(answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new Unanswered())
    }, transactWithinMs)
  })
  return Promise.race([late, answer]).finally(() => {
    clearTimeout(timer)
  })
}

/** A connection that is lost while a client is taken says so to nobody but us, and its query rejects as well. */
function ignore(): void {
  // Without a listener it would end the process.
}

async function inTransaction<T>(client: Queryable, run: (client: Queryable) => Promise<T>): Promise<T> {
  await client.query('BEGIN ISOLATION LEVEL READ COMMITTED')
  const result = await run(client)
  await client.query('COMMIT')
  return result
}

function rolledBack(client: Queryable): Promise<boolean> {
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

async function connect(pool: PostgresPool): Promise<PostgresConnection> {
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
