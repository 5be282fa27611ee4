/*
 * Why: a commit must survive a power loss. A server on SQLite under load is killed at random moments, and its unsynced writes are taken back
 * in part, in every second round sector by sector. The next server starts with the remaining files. In the end every order that was answered
 * with 200 must have been paid exactly once through `commit`, and at least once by every other effect.
 *
 * `node __tests__/crash/power.mjs [--rounds 30] [--seed 1] [--weak]` exits with 1 if a promise was broken. With `--weak` the inbox has
 * `synchronous = NORMAL`, which must break one. Needs a C compiler.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { Client } from './client.mjs'
import { losePower } from './disk.mjs'
import { Load } from './load.mjs'
import { announcements, judge } from './payments.mjs'
import { randomFrom } from './random.mjs'
import { Servers } from './servers.mjs'
import { openStorage } from './storage.mjs'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '30' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 1e9)) },
    weak: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
})
const rounds = Number(values.rounds)
const random = randomFrom(Number(values.seed))
const beside = (name) => fileURLToPath(new URL(name, import.meta.url))

const folder = mkdtempSync(join(tmpdir(), 'conversion-webhook-power-'))
const [file, writes, log, library] = ['inbox.db', 'writes', 'announced', 'power.so'].map((name) => join(folder, name))
execFileSync('cc', ['-shared', '-fPIC', '-O2', '-o', library, beside('power.c'), '-ldl', '-lpthread'])
const servers = new Servers(
  { inbox: 'sqlite', file, shop: 'naive', log },
  {
    env: { ...process.env, LD_PRELOAD: library, POWER_FILE: file, POWER_LOG: writes },
    execArgv: values.weak ? ['--import', beside('weak.mjs')] : [],
  },
)
const client = new Client()
const load = new Load(client, [], async () => 0)
const counts = { unsynced: 0, lost: 0, torn: 0 }
/** Callbacks that are answered with 200 in a round. */
const minAnswers = 30
const problems = []
let storage

try {
  // Creates the table of rewards before the first power loss.
  await (await openStorage('sqlite', file)).close()
  for (let round = 0; round < rounds; round++) {
    const server = await servers.start()
    load.ports = servers.ports
    const enough = client.taken.length + minAnswers // on a busy machine they take longer
    for (let waits = 0; waits < 1_000 && client.taken.length < enough; waits++) await wait(20)
    await wait(random() * 400)
    load.ports = []
    await servers.kill(server)
    const ofRound = losePower(file, writes, random, round % 2 === 1)
    for (const name of Object.keys(counts)) counts[name] += ofRound[name]
  }
  await load.stop()
  storage = await openStorage('sqlite', file)
  await servers.start()
  if (!(await storage.idle(60_000))) problems.push('deliveries wait or run, and none was settled for a minute')
  const { taken, conflicts, others } = client
  const announced = announcements(log)
  const judged = judge({
    ...{ taken, conflicts, announced, shop: 'naive', rewards: await storage.rewards() },
    mayRepeat: () => true, // the mark of its delivery may have been lost
  })
  problems.push(...judged.problems)
  problems.push(...(await storage.miscounts()))
  const damage = await storage.damage()
  if (damage !== undefined) problems.push(`the storage is damaged: ${damage}`)
  if (rounds >= 30 && counts.lost === 0) problems.push('no write was ever lost: the rounds prove nothing')
  const summary = {
    ...{ seed: Number(values.seed), rounds, writes: counts, answered200: taken.length },
    others: Object.fromEntries(others),
    ...judged.summary,
    problems: problems.slice(0, 10),
  }
  console.log(values.json ? JSON.stringify(summary) : summary)
} catch (error) {
  console.error(`seed ${values.seed}:`, error)
  problems.push(String(error))
} finally {
  await load.stop()
  client.close()
  await servers.close()
  await storage?.close()
  rmSync(folder, { recursive: true, force: true })
}
process.exitCode = problems.length === 0 ? 0 : 1
