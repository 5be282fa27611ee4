/*
 * Why: to know how much load one PostgreSQL server carries. Measures callbacks a second, recorded and paid through `commit` by one, two and
 * four processes in parallel; the server's processor time for each callback; and the bytes that each leaves on the server's disk. Server and
 * processes share this machine, so a server on a machine of its own carries more.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as wait } from 'node:timers/promises'
import pg from 'pg'
import { startPostgres } from '../scripts/postgres.mjs'
import { report, spread, start, tell } from './support/report.mjs'

const turns = 3
const processCounts = [1, 2, 4]
const callbacks = 2_000 // of each process
const before = 500 // warm-up: until V8 has compiled the measured code
const ticksPerSecond = 100 // the unit of /proc/<pid>/stat, the same on every Linux machine

/** Seconds of processor time that a PostgreSQL server has used; NaN if the system has no /proc. */
function secondsOf(port) {
  try {
    const processes = readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(readProcess)
    const isServer = ({ command }) => command.includes(`\0-p\0${port}\0`)
    const server = processes.find((each) => each !== undefined && isServer(each))
    const children = processes.filter((each) => each?.parent === server.id)
    const ticks = server.own + server.ended + children.reduce((sum, { own }) => sum + own, 0)
    return ticks / ticksPerSecond
  } catch {
    return NaN
  }
}

function readProcess(id) {
  try {
    const stat = readFileSync(`/proc/${id}/stat`, 'utf8')
    const [, parent, ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const at = (number) => Number(fields[number - 5]) // as proc(5) numbers them
    const command = readFileSync(`/proc/${id}/cmdline`, 'utf8')
    return { id, parent, own: at(14) + at(15), ended: at(16) + at(17), command }
  } catch {
    return undefined // the process has ended meanwhile
  }
}

async function run(processes) {
  const server = await startPostgres()
  const client = new pg.Client({ connectionString: server.url })
  await client.connect()
  const one = async (sql) => Number(Object.values((await client.query(sql)).rows[0])[0])
  const paid = async (rows) => {
    while ((await one('SELECT count(*) FROM rewards')) < rows) await wait(20)
  }
  try {
    await client.query('CREATE TABLE rewards (id text PRIMARY KEY)')
    const children = Array.from({ length: processes }, () =>
      start('scale-once.mjs', [server.url, callbacks, before], { stdio: ['pipe', 'pipe', 'inherit'] }),
    )
    const outputs = children.map(({ stdout }) => createInterface({ input: stdout })[Symbol.asyncIterator]())
    await Promise.all(outputs.map((lines) => lines.next()))
    await paid(processes * before)
    const { port } = new URL(server.url)
    const logged = () => one(`SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')`)
    const [seconds, log, startedAt] = [secondsOf(port), await logged(), performance.now()]
    for (const { stdin } of children) stdin.write('go')
    const rows = processes * callbacks
    await paid(rows + processes * before)
    const took = (performance.now() - startedAt) / 1_000
    const [used, written] = [secondsOf(port) - seconds, (await logged()) - log]
    for (const { stdin } of children) stdin.end()
    const own = await Promise.all(outputs.map(async (lines) => JSON.parse((await lines.next()).value)))
    const bytes = await one(
      `SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relnamespace = 'conversion_webhook'::regnamespace
       AND relname IN ('claims', 'deliveries', 'reservations')`,
    )
    return {
      perSecond: rows / took,
      server: (used * 1e6) / rows,
      process: (own.reduce((sum, each) => sum + each) * 1e6) / rows,
      log: written / rows / 1024,
      disk: bytes / (rows + processes * before) / 1024,
    }
  } finally {
    await client.end()
    await server.stop()
  }
}

const results = new Map(processCounts.map((processes) => [processes, []]))
for (let turn = 0; turn < turns; turn++) {
  for (const processes of processCounts) results.get(processes).push(await run(processes))
  tell(`turn ${turn + 1} of ${turns}`)
}

const row = (what, unit, digits, pick) =>
  processCounts.map((processes) => ({
    what: `${what}, ${processes} ${processes === 1 ? 'process' : 'processes'}`,
    ...spread(results.get(processes).map(pick)),
    unit,
    digits,
  }))
const [{ disk, log }] = results.get(1)
const best = Math.max(
  ...processCounts.map((processes) => spread(results.get(processes).map((each) => each.perSecond)).median),
)
const ofOne = spread(results.get(1).map(({ server }) => server)).median
const million = (number) => (number / 1e6).toFixed(1)
report(
  'What one PostgreSQL carries: callbacks that are recorded and paid through commit',
  [
    ...row('callbacks', '/s', 0, ({ perSecond }) => perSecond),
    ...row('processor time of the server for one', 'µs', 0, ({ server }) => server),
    ...row('processor time of the process for one', 'µs', 0, ({ process }) => process),
    ...row('written to its log for one', 'KiB', 1, ({ log }) => log).slice(0, 1),
    ...row('kept on its disk for one', 'KiB', 1, ({ disk }) => disk).slice(0, 1),
  ],
  [
    `Computed: ${million(best * 86_400)} million a day if it never rests, ${million((best * 86_400) / 10)} million where the busiest minute has ten times the average.`,
    `On a machine of its own, a core of the server takes ${(1e6 / ofOne).toFixed(0)} a second.`,
    `A million of them keep ${((disk * 1e6) / 1024 ** 2).toFixed(1)} GiB and write ${((log * 1e6) / 1024 ** 2).toFixed(1)} GiB of log.`,
    `50 callers a process and the default concurrency, ${turns} turns.`,
  ],
)
