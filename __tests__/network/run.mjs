/*
 * Makes the network between servers and PostgreSQL half-open, one time after another: `node __tests__/network/run.mjs --networks 20 --seed 1`.
 * Callbacks are sent all the time, and handlers pay through `commit`. Exits with 1 if a conversion was lost, paid twice or late.
 */
import { setTimeout as wait } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import pg from 'pg'
import { conversionWebhook } from 'conversion-webhook'
import { postgresInbox } from 'conversion-webhook/postgres'
import { startPostgres } from '../../scripts/postgres.mjs'
import { startProxy } from './proxy.mjs'

const { values } = parseArgs({
  options: {
    networks: { type: 'string', default: '20' },
    seed: { type: 'string', default: '1' },
    json: { type: 'boolean' },
  },
})
const networks = Number(values.networks)
const callers = 8
const limits = { answerMs: 20_000, deliveryMs: 30_000, toldMs: 40_000, closeMs: 3_000 }
const closeTimeoutMs = 1_000

let state = Number(values.seed) >>> 0
/** Numbers from 0 to 1, the same for the same seed. */
function random() {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
  return state / 2 ** 32
}

const server = await startPostgres()
const proxy = await startProxy(server.url)
const db = new pg.Pool({ connectionString: server.url, max: 2 })
db.on('error', () => undefined) // the run stops the server while the pool is open
await db.query('CREATE TABLE rewards (number text)')

const figures = { networks, answered200: 0, answered503: 0, paid: 0, lost: 0, doubled: 0 }
const slowest = { answerMs: 0, deliveryMs: 0, toldMs: 0, closeMs: 0 }
const owed = new Set()
let delivered
let told

function open() {
  const inbox = postgresInbox({ connectionString: proxy.url })
  const webhook = conversionWebhook(
    {
      onSuccess: async ({ orderId }, { commit }) => {
        await commit(async (tx) => {
          await tx.query('INSERT INTO rewards VALUES ($1)', [orderId])
          if (random() < 0.1) await tx.query('SELECT pg_sleep(0.2)')
        })
        delivered?.()
      },
      onError: () => told?.(),
    },
    { secret: false, inbox, maxAttempts: 100, closeTimeoutMs },
  )
  return { inbox, webhook }
}

const since = (at) => performance.now() - at
const note = (name, ms) => (slowest[name] = Math.max(slowest[name], Math.round(ms)))
/** Resolves when an event happens; at the latest after twice its limit. */
const next = (name, ms, listen) =>
  Promise.race([new Promise(listen), wait(ms * 2, undefined, { ref: false })]).then(() => name)

const { webhook } = open()
let isOver = false
let count = 0

/** Sends one conversion after another, and repeats each until it is recorded. */
async function call() {
  while (!isOver) {
    const number = String(++count)
    const callback = { conversion: 'success', orderID: number, goal_complete: '0', referrer_email: 'a@example.com' }
    for (let isRecorded = false; !isRecorded;) {
      const askedAt = performance.now()
      isRecorded = await webhook.accept(callback).then(
        () => true,
        () => false,
      )
      note('answerMs', since(askedAt))
      if (isRecorded) {
        figures.answered200++
        owed.add(number)
      } else {
        figures.answered503++
        told?.() // with callbacks over HTTP, `onError` reports the same
        if (isOver) break
        await wait(50)
      }
    }
    await wait(20)
  }
}

const calling = Array.from({ length: callers }, call)
await wait(2_000)
for (let network = 1; network <= networks; network++) {
  await wait(random() * 3_000)
  proxy.delay(network % 3 === 0 ? 20 : 0)
  const swallowedAt = performance.now()
  const isHandled = next('toldMs', limits.toldMs, (resolve) => (told = resolve)).then(() =>
    note('toldMs', since(swallowedAt)),
  )
  if (network % 4 === 0) {
    // For a while new connections do not work either.
    proxy.swallowNew(true)
    setTimeout(() => proxy.swallowNew(false), 5_000)
  }
  if (network % 5 === 0) proxy.cut()
  else proxy.swallow()
  const workingAt = network % 4 === 0 ? swallowedAt + 5_000 : swallowedAt
  await wait(Math.max(0, workingAt + 50 - performance.now())) // answers to requests from before the network broke do not count
  await next('deliveryMs', limits.deliveryMs, (resolve) => (delivered = resolve))
  note('deliveryMs', since(workingAt))
  if (network % 5 !== 0) await isHandled
  if (network === networks) {
    // The last server closes while the network is broken.
    proxy.swallow()
    const closedAt = performance.now()
    isOver = true
    await webhook.close()
    note('closeMs', since(closedAt) - closeTimeoutMs)
  }
}
isOver = true
await Promise.all(calling)
proxy.delay(0)
const last = open()
for (let until = Date.now() + 180_000; Date.now() < until; await wait(500)) {
  const { deliveries } = await last.inbox.stats()
  if (deliveries.waiting + deliveries.running === 0) break
}
await last.webhook.close()

const { rows } = await db.query('SELECT number, count(*)::int AS times FROM rewards GROUP BY number')
const paid = new Map(rows.map(({ number, times }) => [number, times]))
figures.paid = paid.size
figures.doubled = rows.filter(({ times }) => times > 1).length
figures.lost = [...owed].filter((number) => !paid.has(number)).length
await db.end()
await proxy.close()
await server.stop()

const late = Object.keys(limits).filter((name) => slowest[name] > limits[name])
console.log(values.json ? JSON.stringify({ ...figures, slowest, late }) : { ...figures, slowest, late })
process.exitCode = figures.lost + figures.doubled + late.length > 0 ? 1 : 0
