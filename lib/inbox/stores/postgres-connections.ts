import { setTimeout as wait } from 'node:timers/promises'
import { codeOf, inOrder, type PostgresConnection, type PostgresPool, type Queryable } from './postgres-client.js'
import { isConversionWebhookError } from '../../errors.js'

const connectWithinMs = 5_000
const probeWithinMs = 1_000
const rollBackWithinMs = 1_000
export const transactWithinMs = 10_000
const readWithinMs = 15_000

/** What was found out of the way to a server. */
export interface Network {
  /** By the clock of `performance`: when the newest question was asked that got no answer. */
  lostAt: number
}

/** What a server that does not answer rejects with. Who asked it may go on where the answer comes after all. */
class NoAnswer extends Error {
  readonly askedAt: number

  constructor(withinMs: number, askedAt: number) {
    super(`PostgreSQL did not answer within ${String(withinMs)} ms`)
    this.askedAt = askedAt
  }
}

/**
 * The connections of a pool, as far as the inbox uses them. Nothing waits for a server for ever: a network may swallow what a connection
 * sends and tell nobody. A connection that did not answer in time is destroyed, and so are those that have not been heard of since.
 */
export class Connections implements Queryable {
  readonly #pool: PostgresPool
  readonly #closing: AbortSignal
  readonly #waiting = new Set<(reason: unknown) => void>()
  readonly #network: Network
  readonly #heardAt = new WeakMap<PostgresConnection, number>()

  /** When `closing` is aborted, everything that waits for the server rejects with its reason. Pools of one server share its `network`. */
  constructor(pool: PostgresPool, closing: AbortSignal, network: Network = { lostAt: -Infinity }) {
    this.#pool = pool
    this.#closing = closing
    this.#network = network
    closing.addEventListener('abort', this.#giveUp)
  }

  readonly #giveUp = (): void => {
    for (const reject of this.#waiting) reject(this.#closing.reason)
  }

  /** Lets go of the signal, which outlives what could not be opened. */
  close(): void {
    this.#closing.removeEventListener('abort', this.#giveUp)
  }

  /** One statement on its own. */
  query(text: string, values?: unknown[], withinMs = readWithinMs) {
    return repeated(() => this.use((connection) => this.inTime(connection.query(text, values), withinMs)))
  }

  /** One statement in a transaction of its own, which says what it needs; sent in one go. */
  statement(text: string, values: unknown[], withinMs: number) {
    return repeated(() => this.use((connection) => this.inTime(inOneGo(connection, text, values, withinMs), withinMs)))
  }

  /** Runs a function in a transaction; more than once where it got in the way of another one. */
  transaction<T>(run: (client: Queryable) => Promise<T>, withinMs = transactWithinMs): Promise<T> {
    return this.readFirst(async (client, begun) => {
      await begun
      return run(client)
    }, withinMs)
  }

  /** The same for a function that reads first, which saves a round trip: until `begun` has resolved, it sends nothing that writes. */
  readFirst<T>(
    run: (client: Queryable, begun: Promise<unknown>) => Promise<T>,
    withinMs = transactWithinMs,
  ): Promise<T> {
    return repeated(() => this.use((connection) => this.inTime(inTransaction(connection, run, withinMs), withinMs)))
  }

  /**
   * Takes a connection of the pool. One that failed in an unknown state is not used again, and neither is one that did not answer: its
   * transaction would go on after a ROLLBACK, statement by statement.
   */
  async use<T>(use: (connection: PostgresConnection) => Promise<T>): Promise<T> {
    const connection = await this.#connect()
    let isBroken = true
    try {
      const result = await use(connection)
      isBroken = false
      return result
    } catch (error) {
      const cause = causeOf(error)
      if (cause instanceof NoAnswer) this.#network.lostAt = Math.max(this.#network.lostAt, cause.askedAt)
      else isBroken = this.#closing.aborted || !(await this.#rolledBack(connection))
      throw error
    } finally {
      this.#release(connection, isBroken)
    }
  }

  /** What the server answered. Rejects where that takes too long, and where the inbox closes. */
  async inTime<T>(answer: Promise<T>, withinMs = transactWithinMs): Promise<T> {
    answer.catch(ignore) // where nobody waits for it any more
    this.#closing.throwIfAborted()
    const askedAt = performance.now()
    let timer: NodeJS.Timeout | undefined
    let giveUp: ((reason: unknown) => void) | undefined
    const late = new Promise<never>((_resolve, reject) => {
      giveUp = reject
      this.#waiting.add(reject)
      timer = setTimeout(() => {
        reject(new NoAnswer(withinMs, askedAt))
      }, withinMs)
    })
    return Promise.race([late, answer]).finally(() => {
      clearTimeout(timer)
      if (giveUp) this.#waiting.delete(giveUp)
    })
  }

  /** What to fail with where somebody else found that a connection does not answer. */
  lost(): Error {
    return new NoAnswer(probeWithinMs, performance.now() - probeWithinMs)
  }

  async #connect(): Promise<PostgresConnection> {
    const until = performance.now() + connectWithinMs
    for (;;) {
      const connection = await this.#take(until - performance.now())
      if (await this.#isAlive(connection)) return connection
      this.#release(connection, true)
    }
  }

  async #take(withinMs: number): Promise<PostgresConnection> {
    this.#closing.throwIfAborted()
    const connecting = this.#pool.connect()
    const taken = await this.inTime(connecting, withinMs).catch((error: unknown) => {
      connecting.then(
        (unused) => {
          unused.release()
        },
        () => undefined,
      )
      if (!(error instanceof NoAnswer)) throw error
      throw new Error(`the pool gave no connection within ${String(connectWithinMs)} ms`)
    })
    taken.on('error', ignore)
    return taken
  }

  /** Where a connection was lost, all may be. One that was never used here is new, or the app has had it for a while. */
  async #isAlive(connection: PostgresConnection): Promise<boolean> {
    if (this.#network.lostAt === -Infinity) return true
    const heardAt = this.#heardAt.get(connection)
    if (heardAt !== undefined) return heardAt > this.#network.lostAt
    return this.inTime(connection.query('SELECT 1'), probeWithinMs).then(
      () => true,
      () => false,
    )
  }

  #release(connection: PostgresConnection, isBroken: boolean): void {
    if (!isBroken) this.#heardAt.set(connection, performance.now())
    connection.off('error', ignore)
    connection.release(isBroken)
  }

  #rolledBack(connection: PostgresConnection): Promise<boolean> {
    return this.inTime(connection.query('ROLLBACK'), rollBackWithinMs).then(
      () => true,
      () => false,
    )
  }
}

/** A connection that is lost while a client is taken says so to nobody but us, and its query rejects as well. */
function ignore(): void {
  // Without a listener it would end the process.
}

async function inTransaction<T>(
  connection: Queryable,
  run: (client: Queryable, begun: Promise<unknown>) => Promise<T>,
  withinMs: number,
): Promise<T> {
  const result = await inOrder(connection, async (client) => {
    const begun = client.query(begin({ withinMs }))
    const [ran] = await Promise.all([run(client, begun), begun])
    return ran
  })
  await connection.query('COMMIT')
  return result
}

function inOneGo(connection: Queryable, text: string, values: unknown[], withinMs: number) {
  return inOrder(connection, async (client) => {
    const [, result] = await Promise.all([
      client.query(begin({ withinMs })),
      client.query(text, values),
      client.query('COMMIT'), // of a statement that failed it is a ROLLBACK
    ])
    return result
  })
}

/** SQLSTATE codes of what may be repeated: a serialization failure, and a deadlock. */
const repeatable: readonly unknown[] = ['40001', '40P01']
const repeatsOften = 5
const repeatAfterMs = 20

async function repeated<T>(run: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await run()
    } catch (error) {
      if (tries === repeatsOften || !repeatable.includes(codeOf(error))) throw error
      await wait(Math.random() * tries * repeatAfterMs)
    }
  }
}

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

export function isClosedError(error: unknown): boolean {
  return isConversionWebhookError(error) && error.code === 'ERR_CONVERSION_INBOX_CLOSED'
}

/** What is behind a coded error. */
export function causeOf(error: unknown): unknown {
  return isConversionWebhookError(error) && error.cause !== undefined ? error.cause : error
}
