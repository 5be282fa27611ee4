import { setTimeout as wait } from 'node:timers/promises'
import type { PostgresConnection, PostgresPool, Queryable } from './postgres-client.js'
import { codeOf, committed, ignore, inOrder } from './postgres-client.js'
import { isConversionWebhookError } from '../../errors.js'

const connectWithinMs = 5_000
const probeWithinMs = 1_000
const rollBackWithinMs = 1_000
export const transactWithinMs = 10_000
const readWithinMs = 15_000
/** SQLSTATE codes after which a transaction is repeated: a serialization failure, and a deadlock. */
const repeatable: readonly unknown[] = ['40001', '40P01']
const repeatsOften = 5
const repeatAfterMs = 20

/** What is known of the network to a server. */
export interface Network {
  /** When the newest statement was sent that got no answer, by `performance.now()`. */
  lostAt: number
}

/** The error for a server that does not answer in time. */
class NoAnswer extends Error {
  readonly askedAt: number

  constructor(withinMs: number, askedAt: number) {
    super(`PostgreSQL did not answer within ${String(withinMs)} ms`)
    this.askedAt = askedAt
  }
}

/**
 * The connections of a pool that the inbox uses. Every statement has a time limit, since a network may lose messages without an error. A
 * connection that does not answer in time is destroyed, and so are the connections that have received nothing since.
 */
export class Connections implements Queryable {
  readonly #pool: PostgresPool
  readonly #closing: AbortSignal
  readonly #waiting = new Set<(reason: unknown) => void>()
  readonly #network: Network
  readonly #heardAt = new WeakMap<PostgresConnection, number>()

  /** When `closing` is aborted, all statements that wait reject with its reason. Pools of one server share `network`. */
  constructor(pool: PostgresPool, closing: AbortSignal, network: Network = { lostAt: -Infinity }) {
    this.#pool = pool
    this.#closing = closing
    this.#network = network
    closing.addEventListener('abort', this.#giveUp)
  }

  readonly #giveUp = (): void => {
    for (const reject of this.#waiting) reject(this.#closing.reason)
  }

  /** Stops listening to `closing`. */
  close(): void {
    this.#closing.removeEventListener('abort', this.#giveUp)
  }

  /** Sends one statement without a transaction. */
  query(text: string, values?: unknown[], withinMs = readWithinMs) {
    return this.#repeated(withinMs, (connection) => connection.query(text, values))
  }

  /** Sends one statement in a transaction of its own, with the settings of `begin`, in one message. */
  statement(text: string, values: unknown[], withinMs: number) {
    const run = async (client: Queryable) => {
      const [, result] = await Promise.all([
        client.query(begin({ withinMs })),
        client.query(text, values),
        client.query('COMMIT'), // after a failed statement the server treats COMMIT as ROLLBACK
      ])
      return result
    }
    return this.#repeated(withinMs, (connection) => inOrder(connection, run))
  }

  /** Runs a function in a transaction. Runs it again if the server reports a deadlock or a serialization failure. */
  transaction<T>(run: (client: Queryable) => Promise<T>, withinMs = transactWithinMs): Promise<T> {
    return this.readFirst(async (client, begun) => {
      await begun
      return run(client)
    }, withinMs)
  }

  /** Does the same for a function that reads first, with one round trip less: until `begun` resolves, the function must not write. */
  readFirst<T>(
    run: (client: Queryable, begun: Promise<unknown>) => Promise<T>,
    withinMs = transactWithinMs,
  ): Promise<T> {
    const read = async (client: Queryable): Promise<T> => {
      const begun = client.query(begin({ withinMs }))
      const [ran] = await Promise.all([run(client, begun), begun])
      return ran
    }
    return this.#repeated(withinMs, (connection) => committed(connection, read))
  }

  async #repeated<T>(withinMs: number, work: (connection: PostgresConnection) => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.use((connection) => this.inTime(work(connection), withinMs))
      } catch (error) {
        if (tries === repeatsOften || !repeatable.includes(codeOf(error))) throw error
        await wait(Math.random() * tries * repeatAfterMs)
      }
    }
  }

  /**
   * Takes a connection from the pool for a function. A connection that failed in an unknown state, or did not answer, is destroyed: its
   * later statements would run outside of the transaction.
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
      else isBroken = this.#closing.aborted || !(await this.#succeeds(connection.query('ROLLBACK'), rollBackWithinMs))
      throw error
    } finally {
      this.#release(connection, isBroken)
    }
  }

  /** Resolves with the server's answer. Rejects if that takes too long, or when the inbox closes. */
  async inTime<T>(answer: Promise<T>, withinMs = transactWithinMs): Promise<T> {
    answer.catch(ignore) // after a timeout nobody handles this rejection
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

  /** The error of a connection that another statement found lost. */
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
      connecting.then((unused) => {
        unused.release()
      }, ignore)
      if (!(error instanceof NoAnswer)) throw error
      throw new Error(`the pool gave no connection within ${String(connectWithinMs)} ms`)
    })
    taken.on('error', ignore) // the statement rejects as well
    return taken
  }

  /** When one connection is lost, others may be too. A connection without a mark is new, or was used by the app. */
  async #isAlive(connection: PostgresConnection): Promise<boolean> {
    if (this.#network.lostAt === -Infinity) return true
    const heardAt = this.#heardAt.get(connection)
    if (heardAt !== undefined) return heardAt > this.#network.lostAt
    return this.#succeeds(connection.query('SELECT 1'), probeWithinMs)
  }

  #release(connection: PostgresConnection, isBroken: boolean): void {
    if (!isBroken) this.#heardAt.set(connection, performance.now())
    connection.off('error', ignore)
    connection.release(isBroken)
  }

  #succeeds(answer: Promise<unknown>, withinMs: number): Promise<boolean> {
    return this.inTime(answer, withinMs).then(
      () => true,
      () => false,
    )
  }
}

/*
 * The settings of every transaction of ours, whatever the defaults of the database. They end with the transaction, so that the app's own
 * statements, and other users of the session behind a pooler, keep their defaults. They take no further round trip.
 */

/** Each statement sees what others have committed before it. */
const isolation = 'ISOLATION LEVEL READ COMMITTED'

/** A commit is on the disk when it is answered. A stricter setting, for standbys, stays as it is. */
const durable = `CASE current_setting('synchronous_commit') WHEN 'off' THEN set_config('synchronous_commit', 'on', true) END`

/** The server ends the transaction of a client that is gone, and frees its locks, even if no message says that the client is gone. */
export function limits(withinMs: number): string {
  const ms = String(withinMs)
  return `set_config('idle_in_transaction_session_timeout', '${ms}', true), set_config('statement_timeout', '${ms}', true)`
}

/** Begins a transaction of ours. Without a time limit for a transaction that runs a user's statements. */
export function begin({ withinMs }: { readonly withinMs?: number } = {}): string {
  return `BEGIN ${isolation}; SELECT ${durable}${withinMs === undefined ? '' : `, ${limits(withinMs)}`}`
}

/** Puts the settings before statements of pg-boss without parameters, which may begin a transaction of their own. */
export function readCommitted(text: string): string {
  return `SET TRANSACTION ${isolation}; ${text}`
}

/** The cause of a coded error. */
export function causeOf(error: unknown): unknown {
  return isConversionWebhookError(error) && error.cause !== undefined ? error.cause : error
}
