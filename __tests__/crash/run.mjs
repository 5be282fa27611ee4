/*
 * Why: "nothing lost, nothing paid twice" is worth what its worst moment is. Servers under load from 16 connections are killed with
 * SIGKILL at random moments; then every callback that was answered 200 must have been delivered, every effect through `commit` be there
 * exactly once, and every other effect at least once, and twice only where its handler ran when its process was killed.
 *
 * `node __tests__/crash/run.mjs [--inbox sqlite|postgres] [--library pg|drizzle|kysely|knex] [--kills 100] [--seed 1] [--restarts 2]`; ends with 1 where a promise was broken.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { Load } from './load.mjs'
import { openPostgresStorage, openSqliteStorage } from './storage.mjs'

const { values } = parseArgs({
  options: {
    inbox: { type: 'string', default: 'sqlite' },
    library: { type: 'string', default: 'pg' }, // through which the effect in PostgreSQL is made
    kills: { type: 'string', default: '100' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 1e9)) },
    restarts: { type: 'string', default: '0' }, // of the PostgreSQL server, under load
    json: { type: 'boolean', default: false },
  },
})
const kills = Number(values.kills)
const restarts = Number(values.restarts)
/** As many handlers as run at a time by default: what may have been running at a kill. */
const concurrency = 10

/** A small generator, so that a seed repeats a run's moments (mulberry32). */
let state = Number(values.seed)
function random() {
  state = (state + 0x6d2b79f5) | 0
  let t = Math.imul(state ^ (state >>> 15), 1 | state)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296
}

const folder = mkdtempSync(join(tmpdir(), 'conversion-webhook-crash-'))
const log = join(folder, 'announced')
const storage =
  values.inbox === 'sqlite' ? await openSqliteStorage(join(folder, 'inbox.db')) : await openPostgresStorage()
const errors = new Map()
const load = new Load(`o${values.seed}`)
const killed = []
let servers = []

async function startServer() {
  const file = fileURLToPath(new URL('server.mjs', import.meta.url))
  const child = spawn(process.execPath, [file, JSON.stringify({ ...storage.options, library: values.library, log })], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  const port = await new Promise((resolve, reject) => {
    child.on('message', ({ port, error }) => {
      if (error) errors.set(error, (errors.get(error) ?? 0) + 1)
      else resolve(port)
    })
    child.once('exit', () => reject(new Error('a server ended before it listened')))
  })
  servers.push({ child, port })
  load.ports = servers.map((server) => server.port)
}

async function killOne() {
  const [victim] = servers.splice(Math.floor(random() * servers.length), 1)
  load.ports = servers.map((server) => server.port)
  const gone = once(victim.child, 'exit')
  victim.child.kill('SIGKILL')
  await gone
  killed.push(victim.child.pid)
}

/** Lines of the file that handlers without `commit` wrote: what each process started, in order. */
function announcements() {
  const started = new Map()
  const done = new Map()
  if (!existsSync(log)) return { started, done }
  for (const line of readFileSync(log, 'utf8').split('\n')) {
    const [pid, what, order] = line.split(' ')
    if (order === undefined) continue
    const all = what === 'starts' ? started : done
    if (what === 'starts') all.set(pid, [...(all.get(pid) ?? []), order])
    else all.set(order, [...(all.get(order) ?? []), pid])
  }
  return { started, done }
}

const problems = []
const check = (what, isTrue) => isTrue || problems.push(what)
try {
  const servesAtOnce = values.inbox === 'sqlite' ? 1 : 2
  for (let index = 0; index < servesAtOnce; index++) await startServer()
  for (let kill = 0; kill < kills; kill++) {
    await wait(20 + random() * 400)
    await killOne()
    await startServer()
  }
  for (let restart = 0; restart < restarts; restart++) {
    await wait(500)
    await (restart % 2 === 0 ? storage.server.halt() : storage.server.crash())
    await wait(1_500)
    await storage.server.start()
    await wait(3_000)
  }
  await wait(300)
  await load.stop()
  const idle = await storage.idle(120_000)
  check('deliveries still wait or run after two minutes', idle)

  const rewards = await storage.rewards()
  const { started, done } = announcements()
  const lost = [...load.answered.keys()].filter((order) => !rewards.has(order) || !done.has(order))
  check(`${lost.length} callbacks answered 200 were not delivered: ${lost.slice(0, 5)}`, lost.length === 0)
  const twice = [...rewards].filter(([, times]) => times !== 1)
  check(`${twice.length} effects through commit are there more than once`, twice.length === 0)
  const repeated = [...done].filter(([, pids]) => pids.length > 1)
  for (const [order, pids] of repeated) {
    for (const pid of pids.slice(0, -1)) {
      const wasRunning =
        killed.includes(Number(pid)) &&
        started
          .get(pid)
          .slice(-2 * concurrency)
          .includes(order)
      check(`${order} was announced twice, and was not running at a kill`, wasRunning || restarts > 0)
    }
  }
  const again = [...load.answered.keys()].filter(() => random() < 200 / load.answered.size)
  for (const order of again) {
    const { outcome } = await load.send(servers[0].port, order)
    check(`a repeat of ${order} was ${outcome}`, outcome === 'duplicate')
  }
  check(
    'a callback was accepted as something else',
    [...load.answered.values()].every((outcome) => outcome === 'accepted'),
  )
  if (restarts > 0) check('no 503 was answered while the database was away', load.others.has('503 with Retry-After'))
  check(`the storage is damaged: ${await storage.damage()}`, (await storage.damage()) === undefined)

  const summary = {
    inbox: values.inbox,
    ...(values.inbox === 'postgres' && { library: values.library }),
    seed: Number(values.seed),
    kills,
    restarts,
    sent: load.sent,
    answered200: load.answered.size,
    others: Object.fromEntries(load.others),
    effectsThroughCommit: rewards.size,
    otherEffects: done.size,
    otherEffectsTwice: repeated.length,
    repeatsThatWereDuplicates: again.length,
    errors: Object.fromEntries([...errors].slice(0, 5)),
    problems: problems.slice(0, 10),
  }
  console.log(values.json ? JSON.stringify(summary) : summary)
} catch (error) {
  console.error(`seed ${values.seed}:`, error)
  problems.push(String(error))
} finally {
  load.close()
  for (const { child } of servers) {
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
  }
  servers = []
  await storage.close()
  rmSync(folder, { recursive: true, force: true })
}
process.exitCode = problems.length === 0 ? 0 : 1
