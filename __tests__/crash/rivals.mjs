/*
 * Why: random kills seldom hit the few milliseconds between the yes of `confirm` and the mark of a delivery. Here one of two servers kills
 * itself at each step in between, while both deliver the rivals of a few orders; others are killed from outside, at random moments.
 * Callbacks that a dead server did not answer are sent to the other one. In the end each order must have been paid to one claim, and to the
 * honest one if the shop can tell.
 *
 * `node __tests__/crash/rivals.mjs [--inbox sqlite|postgres] [--shop naive|bound] [--rounds 1] [--seed 1]` exits with 1 if a promise was broken.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Client } from './client.mjs'
import { steps } from './deaths.mjs'
import { announcements, judge, ranAtKill } from './payments.mjs'
import { randomFrom } from './random.mjs'
import { Servers } from './servers.mjs'
import { shops } from './shop.mjs'
import { openStorage } from './storage.mjs'

const ordersAtOnce = 4
const maxOrders = 2_000
/** The number of kills from outside in each round, in addition to one at each step. */
const killsFromOutside = 2
const maxTries = 50

const { values } = parseArgs({
  options: {
    inbox: { type: 'string', default: 'sqlite' },
    shop: { type: 'string', default: 'bound' },
    rounds: { type: 'string', default: '1' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 1e9)) },
    json: { type: 'boolean', default: false },
  },
})
const { shop } = values
const random = randomFrom(Number(values.seed))

const folder = mkdtempSync(join(tmpdir(), 'conversion-webhook-crash-'))
const log = join(folder, 'announced')
const storage = await openStorage(values.inbox, join(folder, 'inbox.db'))
const servers = new Servers({ ...storage.options, shop, log })
const client = new Client()
let orders = 0

/** Sends all claims of an order at once, to both servers in turn. A callback that is not answered is sent again to the survivor. */
async function race(survivor, victim) {
  const number = 1_000 + orders++
  const everybody = ['honest', ...shops[shop].rivals]
  const claimants = everybody.map((_who, index) => everybody[(index + orders) % everybody.length])
  const swap = Math.floor(orders / everybody.length)
  const send = async (who, index) => {
    let isAnswered = await client.send([survivor, victim][(index + swap) % 2].port, number, who)
    for (let tries = 1; !isAnswered && tries < maxTries; tries++) {
      isAnswered = await client.send(survivor.port, number, who)
      if (!isAnswered) await wait(100)
    }
  }
  await Promise.all(claimants.map(send))
}

/** Sends orders with rivals until the server that dies at a step, or is killed from outside, is dead. */
async function raceToDeath(survivor, dieAt) {
  const victim = await servers.start({ dieAt })
  const before = orders
  let isDead = false
  victim.gone.then(() => (isDead = true))
  if (dieAt === undefined) void wait(random() * 500).then(() => servers.kill(victim))
  while (!isDead && orders - before < maxOrders) {
    await Promise.all(Array.from({ length: ordersAtOnce }, () => race(survivor, victim)))
  }
  if (!isDead) throw new Error(`no server reached the step ${dieAt}`)
}

const problems = []
try {
  const survivor = await servers.start()
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const step of steps) await raceToDeath(survivor, step)
    for (let kill = 0; kill < killsFromOutside; kill++) await raceToDeath(survivor)
  }
  if (!(await storage.idle(60_000))) problems.push('deliveries wait or run, and none was settled for a minute')

  const { taken, conflicts, others } = client
  const announced = announcements(log)
  const judged = judge({
    taken,
    conflicts,
    rewards: await storage.rewards(),
    announced,
    shop,
    mayRepeat: ranAtKill(announced, servers.killed),
  })
  problems.push(...judged.problems)
  if (judged.summary.owed !== orders) problems.push('an order has no callback that was answered with 200')
  problems.push(...(await storage.miscounts()))
  const damage = await storage.damage()
  if (damage !== undefined) problems.push(`the storage is damaged: ${damage}`)
  if ((await storage.dead()) > 0) problems.push('deliveries are dead')
  const summary = {
    inbox: values.inbox,
    shop,
    seed: Number(values.seed),
    kills: servers.killed.size,
    orders,
    answered200: taken.length,
    conflicts: conflicts.length,
    others: Object.fromEntries(others),
    ...judged.summary,
    errors: Object.fromEntries([...servers.errors].slice(0, 5)),
    problems,
  }
  console.log(values.json ? JSON.stringify(summary) : summary)
} catch (error) {
  console.error(`seed ${values.seed}:`, error)
  problems.push(String(error))
} finally {
  client.close()
  await servers.close()
  await storage.close()
  rmSync(folder, { recursive: true, force: true })
}
process.exitCode = problems.length === 0 ? 0 : 1
