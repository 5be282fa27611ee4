import { Socket } from 'node:net'
import type * as Pg from 'pg'
import type * as Boss from 'pg-boss'
import { ConversionWebhookError } from '../../errors.js'
import type { Size } from '../quarantine.js'
import { settlesWithin } from '../../util/settles-within.js'
import type { PostgresPool, Queryable } from './postgres-client.js'
import { Connections } from './postgres-connections.js'
import { PostgresJobs } from './postgres-jobs.js'
import { PostgresListener } from './postgres-listener.js'
import { PostgresQuarantine } from './postgres-quarantine.js'
import { PostgresRows } from './postgres-rows.js'
import { migrate } from './postgres-schema.js'

const connectWithinMs = 5_000
/** Milliseconds without data after which the operating system checks a connection (TCP keep-alive). */
const keepAliveMs = 10_000
const migrateWithinMs = 120_000
const endWithinMs = 300
const maxOurs = 8
const maxCommits = 20

export interface PostgresOptions {
  readonly connectionString?: string | undefined
  readonly pool?: PostgresPool | undefined
  readonly schema: string
  /** The budget of the quarantine. */
  readonly quarantineBudget: Size
  readonly onError: (error: unknown) => void
}

export type PostgresParts = Awaited<ReturnType<typeof openPostgres>>

/** Loads the optional peers when the inbox is made. Throws `ERR_CONVERSION_DRIVER_MISSING` and `ERR_CONVERSION_NODE_UNSUPPORTED`. */
export function requireDrivers() {
  try {
    const pg = require('pg') as typeof Pg
    const { PgBoss } = require('pg-boss') as typeof Boss
    return { pg, PgBoss }
  } catch (cause) {
    const isOld = cause instanceof Error && 'code' in cause && cause.code === 'ERR_REQUIRE_ESM'
    if (isOld) {
      const values = { what: 'postgresInbox, as pg-boss 12,', needs: '22.13', has: process.version }
      throw new ConversionWebhookError('ERR_CONVERSION_NODE_UNSUPPORTED', { values, cause })
    }
    throw new ConversionWebhookError('ERR_CONVERSION_DRIVER_MISSING', { cause })
  }
}

/** Connects, brings the tables up to date and starts the jobs. Rejects when `closing` is aborted. */
export async function openPostgres(
  { pg, PgBoss }: ReturnType<typeof requireDrivers>,
  { connectionString, pool: given, schema, quarantineBudget, onError }: PostgresOptions,
  closing: AbortSignal,
) {
  const sockets = new Set<Socket>()
  const ownOptions = {
    connectionString,
    connectionTimeoutMillis: connectWithinMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: keepAliveMs,
    stream: () => {
      const socket = new TurnSocket()
      sockets.add(socket)
      socket.once('close', () => sockets.delete(socket))
      return socket
    },
  }
  const own: PostgresPool[] = []
  function makePool(options: Pg.PoolConfig): PostgresPool {
    const pool = new pg.Pool({ ...ownOptions, ...options }) as unknown as PostgresPool
    // The next query replaces an idle connection that was lost.
    pool.on('error', () => undefined)
    own.push(pool)
    return pool
  }
  const network = { lostAt: -Infinity }
  const connections = new Connections(given ?? makePool({ max: maxOurs, pipeline: true }), closing, network)
  // For functions of `commit`. Not pipelined: a function may send what pg can only send alone, such as a cursor.
  const commits = given ? connections : new Connections(makePool({ max: maxCommits }), closing, network)
  const clock = new ServerClock()
  const jobs = new PostgresJobs(PgBoss, connections, schema, onError)
  const options = given ? optionsOf(given) : ownOptions // no copy: a pool hides the password from copies
  const listener = new PostgresListener(() => new pg.Client(options))

  /** Closes everything that was opened for the store. */
  async function close(): Promise<void> {
    listener.close()
    const stopped = jobs.stop().catch(() => undefined)
    await settlesWithin(endWithinMs, stopped)
    await settlesWithin(endWithinMs, Promise.all(own.map((pool) => pool.end())))
    connections.close()
    commits.close()
    for (const socket of sockets) socket.destroy() // a server that cannot be reached never answers `end()`
  }

  try {
    await connections.transaction((client) => migrate(client, schema), migrateWithinMs)
    await clock.measure(connections)
    await jobs.start()
  } catch (error) {
    await close()
    throw error
  }
  const rows = new PostgresRows(schema)
  const quarantine = new PostgresQuarantine(schema, quarantineBudget)
  return { connections, commits, rows, quarantine, jobs, clock, listener, close }
}

/** The options of a pool of the package pg. */
function optionsOf(pool: PostgresPool): Pg.ClientConfig {
  return 'options' in pool && typeof pool.options === 'object' ? (pool.options as Pg.ClientConfig) : {}
}

/** A measurement of the clock that took longer is not exact enough. */
const maxRoundTripMs = 2_000

/**
 * The server's clock, by which deliveries are due. Between two measurements it is computed by the monotonic clock of this process, so that a
 * step of the process's wall clock changes nothing.
 */
class ServerClock {
  #serverAt = Date.now()
  #measuredAt = performance.now()
  #isMeasured = false

  readonly now = (): number => Math.round(this.#serverAt + performance.now() - this.#measuredAt)

  /** Asks the server. Returns the milliseconds by which its clock was stepped since the last call; 0 the first time. */
  async measure(client: Queryable): Promise<number> {
    const askedAt = performance.now()
    const { rows } = await client.query('SELECT extract(epoch FROM clock_timestamp()) * 1000 AS now')
    const answeredAt = performance.now()
    if (this.#isMeasured && answeredAt - askedAt > maxRoundTripMs) return 0
    const measuredAt = (askedAt + answeredAt) / 2
    const serverAt = Number(rows[0]?.now)
    const stepMs = this.#isMeasured ? serverAt - (this.#serverAt + measuredAt - this.#measuredAt) : 0
    this.#serverAt = serverAt
    this.#measuredAt = measuredAt
    this.#isMeasured = true
    return stepMs
  }
}

/** A socket that writes everything that pg sends in one turn in one piece: pg itself would write each statement of a pipeline alone. */
class TurnSocket extends Socket {
  #isCorked = false

  override cork(): void {
    super.cork()
    if (this.#isCorked) return
    this.#isCorked = true
    super.cork()
    process.nextTick(() => {
      this.#isCorked = false
      super.uncork()
    })
  }
}
