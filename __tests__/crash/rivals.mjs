/*
 * Why: between the yes of `confirm` and the mark of a delivery there are few milliseconds, which random kills seldom hit. Here one of two
 * servers kills itself at each of the steps between them, while both race for the rivals of a few orders; then each order must have been
 * paid to one claim, to the honest one where the shop tells them apart, and nothing lost.
 *
 * `node __tests__/crash/rivals.mjs [--inbox sqlite|postgres] [--shop naive|bound] [--rounds 1]`; ends with 1 where a promise was broken.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Client } from './client.mjs'
import { announcements, judge } from './payments.mjs'
import { Servers } from './servers.mjs'
import { shops } from './shop.mjs'
import { openStorage } from './storage.mjs'

/** Where a server kills itself; `server.mjs` goes through them in this order. */
const steps = [
  'confirmed', // a yes was said, and nothing is reserved
  'reserving', // the reservation is being written
  'reserved', // the handler begins
  'inserted', // the effect is made, and its transaction open
  'committed', // the effect is there and the delivery done, and the handler does not know
  'announced', // an effect elsewhere is made, and the handler has not returned
  'marking', // the handler has returned, and the mark is being written
]
const ordersAtOnce = 4
const maxOrders = 2_000

const { values } = parseArgs({
  options: {
    inbox: { type: 'string', default: 'sqlite' },
    shop: { type: 'string', default: 'bound' },
    rounds: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
  },
})
const { shop } = values

const folder = mkdtempSync(join(tmpdir(), 'conversion-webhook-crash-'))
const log = join(folder, 'announced')
const storage = await openStorage(values.inbox, join(folder, 'inbox.db'))
const servers = new Servers({ ...storage.options, shop, log })
const client = new Client()
let orders = 0

/** All claims of an order at once, each to the other server than the one before it, and each in turn to both. */
async function race(ports) {
  const number = 1_000 + orders++
  const everybody = ['honest', ...shops[shop].rivals]
  const claimants = everybody.map((_who, index) => everybody[(index + orders) % everybody.length])
  const swap = Math.floor(orders / everybody.length)
  await Promise.all(claimants.map((who, index) => client.send(ports[(index + swap) % 2], number, who)))
}

/** Races until the server that dies at a step is dead. */
async function raceToDeath(survivor, dieAt) {
  const victim = await servers.start({ dieAt })
  const before = orders
  let isDead = false
  victim.gone.then(() => (isDead = true))
  while (!isDead && orders - before < maxOrders) {
    await Promise.all(Array.from({ length: ordersAtOnce }, () => race([survivor.port, victim.port])))
  }
  if (!isDead) throw new Error(`no server came to the step ${dieAt}`)
}

const problems = []
try {
  const survivor = await servers.start()
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const step of steps) await raceToDeath(survivor, step)
  }
  if (!(await storage.idle(60_000))) problems.push('deliveries wait or run, and none was settled for a minute')

  const { taken, conflicts, others } = client
  const judged = judge({
    taken,
    conflicts,
    rewards: await storage.rewards(),
    announced: announcements(log),
    shop,
    mayRepeat: (pid) => servers.killed.has(pid),
  })
  problems.push(...judged.problems)
  const summary = {
    inbox: values.inbox,
    shop,
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
  console.error(error)
  problems.push(String(error))
} finally {
  client.close()
  await servers.close()
  await storage.close()
  rmSync(folder, { recursive: true, force: true })
}
process.exitCode = problems.length === 0 ? 0 : 1
