/*
 * Why: no conversion may be lost or paid twice, whenever a process dies. Two servers under load from 16 connections, where every third order
 * has rivals, are killed with SIGKILL at random moments. In the end every order that was answered with 200 must have been paid, and to one
 * claim only: exactly once through `commit`, and at least once by every other effect. Other effects may be repeated only if the handler ran
 * when its process was killed.
 *
 * `node __tests__/crash/run.mjs [--inbox sqlite|postgres] [--shop none|naive|bound] [--library pg|drizzle|kysely|knex] [--kills 100] [--seed 1] [--restarts 3]
 * [--operators] [--miscount]` exits with 1 if a promise was broken.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Client } from './client.mjs'
import { Load } from './load.mjs'
import { Operators } from './operating.mjs'
import { announcements, judge, ranAtKill } from './payments.mjs'
import { randomFrom } from './random.mjs'
import { Servers } from './servers.mjs'
import { shops } from './shop.mjs'
import { openStorage } from './storage.mjs'

const { values } = parseArgs({
  options: {
    inbox: { type: 'string', default: 'sqlite' },
    shop: { type: 'string', default: 'none' },
    library: { type: 'string', default: 'pg' }, // the library that writes the effect in PostgreSQL
    kills: { type: 'string', default: '100' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 1e9)) },
    restarts: { type: 'string', default: '0' }, // how often the PostgreSQL server restarts under load
    operators: { type: 'boolean', default: false }, // prunes and erases during the load
    miscount: { type: 'boolean', default: false }, // makes a counter wrong, which the run must find
    json: { type: 'boolean', default: false },
  },
})
const { shop, library } = values
const kills = Number(values.kills)
const restarts = Number(values.restarts)
const random = randomFrom(Number(values.seed))

const folder = mkdtempSync(join(tmpdir(), 'conversion-webhook-crash-'))
const log = join(folder, 'announced')
const storage = await openStorage(values.inbox, join(folder, 'inbox.db'))
const servers = new Servers({ ...storage.options, library, shop, log })
const processes = new Servers(storage.options, { script: 'operator.mjs' })
const client = new Client()
const operators = values.operators ? new Operators({ servers, processes, client, random }) : undefined
const load = new Load(client, shops[shop].rivals, () => storage.waiting())

async function startServer() {
  await servers.start()
  load.ports = servers.ports
}

async function killOne() {
  const victim = servers.running[Math.floor(random() * servers.running.length)]
  load.ports = servers.ports.filter((port) => port !== victim.port)
  await servers.kill(victim)
}

/** Every third killed process is a separate process of the operator. */
async function killOperator() {
  await processes.kill(processes.running[0])
  await processes.start()
}

/** How the PostgreSQL server is ended, in turn: with SIGKILL, without a checkpoint, and in order. */
const endings = ['kill', 'crash', 'halt']

const problems = []
const check = (what, isTrue) => isTrue || problems.push(what)
try {
  for (let index = 0; index < 2; index++) await startServer()
  if (operators) await processes.start()
  operators?.start()
  for (let kill = 0; kill < kills; kill++) {
    await wait(20 + random() * 400)
    if (operators && kill % 3 === 2) await killOperator()
    else {
      await killOne()
      await startServer()
    }
  }
  await operators?.die(values.inbox)
  for (let restart = 0; restart < restarts; restart++) {
    await wait(500)
    await storage.server[endings[restart % endings.length]]()
    await wait(1_500)
    await storage.server.start()
    await wait(3_000)
  }
  await wait(300)
  await load.stop()
  await operators?.stop()
  check('deliveries wait or run, and none was settled for a minute', await storage.idle(60_000))

  const { taken, conflicts, others } = client
  const announced = announcements(log)
  const wasRunning = ranAtKill(announced, servers.killed)
  const mayRepeat = (pid, number) => restarts > 0 || wasRunning(pid, number)
  const judged = judge({ taken, conflicts, announced, shop, mayRepeat, rewards: await storage.rewards() })
  problems.push(...judged.problems)
  const again = taken.filter(() => random() < 200 / taken.length)
  for (const callback of again) {
    const outcome = await client.repeat(servers.ports[0], callback)
    check(`a repeat of ${callback.number} by ${callback.who} was ${outcome}`, outcome === 'duplicate')
  }
  check('deliveries are dead', (await storage.dead()) === 0)
  // Only the sender who leaves addresses out can be recorded for another claim.
  const isOwn = ({ outcome }) => outcome === 'accepted' || (outcome === 'duplicate' && shop !== 'bound')
  check('an honest callback was recorded for another claim', taken.filter(({ who }) => who === 'honest').every(isOwn))
  if (restarts > 0)
    check('no callback was answered with 503 while the database was down', others.has('503 with Retry-After'))
  if (values.miscount) await storage.miscount()
  problems.push(...(await storage.miscounts()))
  const traces = await operators?.findTraces(storage, servers.ports[0])
  if (operators) problems.push(...operators.problems, ...traces.problems, ...(await storage.miscounts()))
  check(`the storage is damaged: ${await storage.damage()}`, (await storage.damage()) === undefined)

  const summary = {
    inbox: values.inbox,
    ...(values.inbox === 'postgres' && { library }),
    shop,
    seed: Number(values.seed),
    kills: servers.killed.size + processes.killed.size,
    restarts,
    ...(operators && {
      operators: { ...operators.counts, ...traces.summary, failures: Object.fromEntries(operators.failures) },
    }),
    sent: load.sent,
    answered200: taken.length,
    conflicts: conflicts.length,
    others: Object.fromEntries(others),
    ...judged.summary,
    repeatsThatWereDuplicates: again.length,
    errors: Object.fromEntries([...servers.errors].slice(0, 5)),
    problems: problems.slice(0, 10),
  }
  console.log(values.json ? JSON.stringify(summary) : summary)
} catch (error) {
  console.error(`seed ${values.seed}:`, error)
  problems.push(String(error))
} finally {
  await load.stop()
  client.close()
  await operators?.stop()
  await servers.close()
  await processes.close()
  await storage.close()
  rmSync(folder, { recursive: true, force: true })
}
process.exitCode = problems.length === 0 ? 0 : 1
