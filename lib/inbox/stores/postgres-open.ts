import type * as Pg from 'pg'
import type * as Boss from 'pg-boss'
import { ConversionWebhookError } from '../../errors.js'
import type { Size } from '../quarantine.js'
import { transaction, type PostgresPool } from './postgres-client.js'
import { PostgresJobs } from './postgres-jobs.js'
import { PostgresQuarantine } from './postgres-quarantine.js'
import { PostgresRows } from './postgres-rows.js'
import { migrate } from './postgres-schema.js'
import type { PostgresParts } from './postgres.js'

const listenAgainMs = 5_000

export interface PostgresOptions {
  readonly connectionString?: string | undefined
  readonly pool?: PostgresPool | undefined
  readonly schema: string
  /** What its quarantine may take. */
  readonly quarantineBudget: Size
  readonly onError: (error: unknown) => void
}

/** The optional peers, loaded when the inbox is made. Throws `ERR_CONVERSION_DRIVER_MISSING` and `ERR_CONVERSION_NODE_UNSUPPORTED`. */
export function requireDrivers() {
  try {
    const pg = require('pg') as typeof Pg
    const { PgBoss } = require('pg-boss') as typeof Boss
    return { pg, PgBoss }
  } catch (cause) {
    const isOld = cause instanceof Error && 'code' in cause && cause.code === 'ERR_REQUIRE_ESM'
    if (isOld) {
      const message = `postgresInbox needs Node 22.13 or later, as pg-boss 12 does; this is ${process.version}.`
      throw new ConversionWebhookError('ERR_CONVERSION_NODE_UNSUPPORTED', { message, cause })
    }
    const message = 'postgresInbox needs two packages more: npm install pg-boss@12 pg@8'
    throw new ConversionWebhookError('ERR_CONVERSION_DRIVER_MISSING', { message, cause })
  }
}

/** Connects, brings the tables up to date and starts the jobs. */
export async function openPostgres(
  { pg, PgBoss }: ReturnType<typeof requireDrivers>,
  { connectionString, pool: given, schema, quarantineBudget, onError }: PostgresOptions,
): Promise<PostgresParts> {
  const own = given ? undefined : new pg.Pool({ connectionString, max: 20, connectionTimeoutMillis: 5_000 })
  const pool: PostgresPool = given ?? (own as unknown as PostgresPool)
  // A connection that is lost while nobody uses it is replaced with the next query.
  own?.on('error', () => undefined)
  let listener: Pg.Client | undefined
  let timer: NodeJS.Timeout | undefined
  let isClosed = false
  const jobs = new PostgresJobs(PgBoss, pool, schema, onError)

  async function end(): Promise<void> {
    isClosed = true
    clearTimeout(timer)
    await listener?.end().catch(() => undefined)
    await jobs.stop().catch(() => undefined)
    await own?.end()
  }

  /** A connection of its own, since a notification comes to the session that listens; made again whenever it is lost. */
  async function listen(wake: () => void): Promise<void> {
    if (isClosed) return
    const options = connectionString === undefined ? optionsOf(pool) : { connectionString }
    const client = new pg.Client(options)
    listener = client
    const again = (): void => {
      if (isClosed || listener !== client) return
      listener = undefined
      timer = setTimeout(() => {
        void listen(wake)
      }, listenAgainMs).unref()
    }
    client.on('error', again)
    client.on('end', again)
    client.on('notification', wake)
    try {
      await client.connect()
      await client.query('LISTEN conversion_webhook')
      wake() // what was made while nobody listened
    } catch {
      again()
    }
  }

  try {
    await transaction(pool, (client) => migrate(client, schema))
    await jobs.start()
  } catch (error) {
    await end()
    throw error
  }
  return {
    pool,
    rows: new PostgresRows(schema),
    quarantine: new PostgresQuarantine(schema, quarantineBudget),
    jobs,
    listen,
    close: end,
    async skewMs() {
      const asked = Date.now()
      const { rows } = await pool.query('SELECT extract(epoch FROM clock_timestamp()) * 1000 AS now')
      const answered = Date.now()
      return Math.round(Number(rows[0]?.now) - (asked + answered) / 2)
    },
  }
}

/** What a pool of the package pg was made with. */
function optionsOf(pool: PostgresPool): Pg.ClientConfig {
  return 'options' in pool && typeof pool.options === 'object' ? (pool.options as Pg.ClientConfig) : {}
}
