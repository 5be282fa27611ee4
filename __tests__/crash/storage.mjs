import { existsSync, readFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { startPostgres } from '../../scripts/postgres.mjs'
import { counted } from '../support/counted.ts'

const waiting = async (inbox) => (await inbox.stats()).deliveries.waiting
const dead = async (inbox) => (await inbox.stats()).deliveries.dead

/** Resolves with true once no delivery waits, is held or runs; with false if none was settled for `ms`. */
async function idle(inbox, ms) {
  let before
  for (let until = Date.now() + ms; Date.now() < until; await wait(100)) {
    const { waiting, held, running } = (await inbox.stats()).deliveries
    const left = waiting + held + running
    if (process.env.SHOW) console.error(Math.round(performance.now()), left)
    if (left === 0) return true
    if (left !== before) until = Date.now() + ms
    before = left
  }
  return false
}

/** The table has no unique key, so that only the package prevents two paid claims for one order. */
const table = 'CREATE TABLE IF NOT EXISTS rewards (number TEXT, claim TEXT, referrer TEXT)'
const query = 'SELECT number, claim, referrer FROM rewards'
/** The effects of the handlers of `pausing.mjs`. */
const effectsTable = 'CREATE TABLE IF NOT EXISTS effects (key TEXT)'
/** The tables of the inbox, without the prefix that differs between databases. */
const tables = ['deliveries', 'claims', 'counters', 'days']
/** Makes a counter wrong, to prove that a run finds it. */
const miscount = (prefix) => `UPDATE ${prefix}counters SET value = value + 1 WHERE name = 'deliveries.done'`

/** The counters that differ from the rows, once no delivery runs. */
async function miscounts(inbox, ask) {
  const { says, is } = await counted(inbox, ask)
  return Object.keys(is)
    .filter((what) => JSON.stringify(says[what]) !== JSON.stringify(is[what]))
    .map((what) => `${what} are ${JSON.stringify(is[what])}, and counted as ${JSON.stringify(says[what])}`)
}

/** The addresses that occur in some bytes, plain or percent-encoded. */
function mentioned(addresses, bytes) {
  return addresses.filter((each) => [each, encodeURIComponent(each)].some((text) => bytes.includes(text)))
}

const keysOf = (rows) => rows.map(({ key }) => key)

/** The events of the deliveries that are done, and of the others. */
async function events(inbox) {
  const deliveries = await inbox.list()
  const of = (isDone) => deliveries.filter(({ state }) => (state === 'done') === isDone).map(({ event }) => event)
  return { done: of(true).sort(), left: of(false).sort() }
}

async function openSqliteStorage(file) {
  const { DatabaseSync } = await import('node:sqlite')
  const { sqliteInbox } = await import('conversion-webhook/sqlite')
  const inbox = sqliteInbox(file)
  const db = new DatabaseSync(file)
  db.exec(`PRAGMA busy_timeout = 5000; ${table}; ${effectsTable}`)
  return {
    options: { inbox: 'sqlite', file },
    waiting: () => waiting(inbox),
    dead: () => dead(inbox),
    idle: (ms) => idle(inbox, ms),
    rewards: async () => db.prepare(query).all(),
    effects: async () => keysOf(db.prepare('SELECT key FROM effects').all()),
    events: () => events(inbox),
    reserved: async () => db.prepare('SELECT 1 FROM conversion_webhook_claims WHERE holder IS NOT NULL').all().length,
    miscounts: () => miscounts(inbox, async (sql) => db.prepare(sql('conversion_webhook_')).all()),
    miscount: async () => db.exec(miscount('conversion_webhook_')),
    erase: (email) => inbox.erase({ email }),
    forgetRewards: async () => db.exec('DELETE FROM rewards'),
    async mentions(addresses) {
      const files = [file, `${file}-wal`, `${file}-shm`, `${file}-journal`].filter((path) => existsSync(path))
      return mentioned(addresses, Buffer.concat(files.map((path) => readFileSync(path))))
    },
    async clear() {
      db.exec(`DELETE FROM rewards; ${tables.map((name) => `DELETE FROM conversion_webhook_${name};`).join(' ')}`)
    },
    async damage() {
      const { integrity_check: result } = db.prepare('PRAGMA integrity_check').get()
      return result === 'ok' ? undefined : result
    },
    async close() {
      db.close()
      await inbox.close()
    },
  }
}

/** Opens a SQLite file, or a new PostgreSQL database: on `server` if it is given, else on a server of its own. */
export function openStorage(inbox, file, server) {
  return inbox === 'sqlite' ? openSqliteStorage(file) : openPostgresStorage(server)
}

let databases = 0

async function makeDatabase(pg, url) {
  const name = `database_${++databases}`
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query(`CREATE DATABASE ${name}`)
  await client.end()
  return Object.assign(new URL(url), { pathname: name }).href
}

async function openPostgresStorage(shared) {
  const { default: pg } = await import('pg')
  const { postgresInbox } = await import('conversion-webhook/postgres')
  const server = shared ?? (await startPostgres())
  const url = shared ? await makeDatabase(pg, shared.url) : server.url
  const pool = new pg.Pool({ connectionString: url, max: 3 })
  pool.on('error', () => undefined) // the run stops the server while the pool is open
  await pool.query(`${table}; ${effectsTable}`)
  const inbox = postgresInbox({ pool })
  return {
    options: { inbox: 'postgres', url },
    server,
    waiting: () => waiting(inbox),
    dead: () => dead(inbox),
    idle: (ms) => idle(inbox, ms),
    rewards: async () => (await pool.query(query)).rows,
    effects: async () => keysOf((await pool.query('SELECT key FROM effects')).rows),
    events: () => events(inbox),
    reserved: async () => (await pool.query('SELECT 1 FROM conversion_webhook.reservations')).rowCount,
    miscounts: () => miscounts(inbox, async (sql) => (await pool.query(sql('conversion_webhook.'))).rows),
    miscount: () => pool.query(miscount('conversion_webhook.')),
    erase: (email) => inbox.erase({ email }),
    forgetRewards: () => pool.query('DELETE FROM rewards'),
    async mentions(addresses) {
      const { rows: names } = await pool.query(
        `SELECT oid::regclass AS name FROM pg_class
         WHERE relkind IN ('r', 'm') AND relnamespace::regnamespace::text NOT IN ('pg_catalog', 'information_schema')`,
      )
      const found = new Set()
      for (const { name } of names) {
        const { rows } = await pool.query(`SELECT t::text AS row FROM ${name} AS t`)
        for (const address of mentioned(addresses, rows.map(({ row }) => row).join('\n'))) found.add(address)
      }
      return [...found]
    },
    clear: () =>
      pool.query(
        `TRUNCATE rewards, ${['reservations', ...tables].map((name) => `conversion_webhook.${name}`).join(', ')}`,
      ),
    damage: async () => undefined,
    async close() {
      await inbox.close()
      await pool.end()
      if (!shared) await server.stop()
    },
  }
}
