/*
 * The server of a soak: `node --expose-gc server.mjs '{"inbox":"sqlite","file":…}'`. Its handlers pay through `commit`, and fail at the first
 * attempt for orders that begin with F. It calls the operators of its inbox, and reports its resources to its parent. `leak` makes it keep
 * an object for each callback or delivery, which the soak must find.
 */
import { readdirSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { setImmediate as turn, setTimeout as wait } from 'node:timers/promises'
import { queryObjects } from 'node:v8'
import express from 'express'
import { conversionWebhook, memoryInbox } from 'conversion-webhook'

const { inbox: kind, file, url, secret, leak, pruneEveryMs } = JSON.parse(process.argv[2])

const table = 'CREATE TABLE rewards (id text PRIMARY KEY)'
/** How to open each inbox, and how to pay in the transaction of its `commit`. */
const inboxes = {
  memory: () => ({ inbox: memoryInbox() }),
  async sqlite() {
    const { sqliteInbox } = await import('conversion-webhook/sqlite')
    const { DatabaseSync } = await import('node:sqlite')
    const db = new DatabaseSync(file)
    db.exec(table)
    db.close()
    const insert = (tx, id) => tx.prepare('INSERT INTO rewards VALUES (?)').run(id)
    return { inbox: sqliteInbox(file), insert }
  },
  async postgres() {
    const { postgresInbox } = await import('conversion-webhook/postgres')
    const { default: pg } = await import('pg')
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    await client.query(table)
    await client.end()
    const insert = (tx, id) => tx.query('INSERT INTO rewards VALUES ($1)', [id])
    return { inbox: postgresInbox({ connectionString: url }), insert }
  },
}
const { inbox, insert } = await inboxes[kind]()

const counts = { callbacks: 0, deliveries: 0, paid: 0, listed: 0, pruned: 0 }
const errors = new Map()
const note = (error) => errors.set(String(error), (errors.get(String(error)) ?? 0) + 1)

const held = []
const hold = (bytes) => held.push(Buffer.alloc(bytes - 16, 'x').toString('latin1')) // 16 bytes are the header of a string
const idle = () => held.length
const dayMs = 86_400_000
/** The leaks: the first two keep an object for each callback, the others for each delivery. */
const leaks = {
  '100 bytes': { callback: () => hold(100) },
  '10,000 bytes': { callback: () => hold(10_000) },
  timer: { delivery: () => setTimeout(idle, dayMs) },
  'unreferenced timer': { delivery: () => setTimeout(idle, dayMs).unref() },
  descriptor: { delivery: async () => held.push(await open('/dev/null')) },
}
if (leak !== undefined && !(leak in leaks)) throw new Error(`--leak is one of: ${Object.keys(leaks).join(', ')}`)
const { callback: leakOnCallback, delivery: leakOnDelivery } = leaks[leak] ?? {}

const failed = new Set()
/** Whether this attempt is to fail: the first one of an order that begins with F. Kept here, since the memory inbox does not count attempts. */
function isToFail(orderId, id) {
  if (!orderId?.startsWith('F') || failed.delete(id)) return false
  failed.add(id)
  return true
}

async function handle({ orderId }, { id, commit }) {
  counts.deliveries++
  await leakOnDelivery?.()
  if (isToFail(orderId, id)) throw new Error('The shop is closed.')
  if (commit) await commit((tx) => insert(tx, id))
  counts.paid++
}

const webhook = conversionWebhook(
  {
    onSuccess: handle,
    onGoalComplete: handle,
    onFail: handle,
    onPending: () => undefined,
    onRefused: () => undefined,
    onConflict: () => undefined,
    onError: ({ stage, error }) => stage === 'handler' || note(error),
    onDead: ({ error }) => note(error),
  },
  { secret, inbox },
)

const app = express()
app.use('/webhook', (_req, _res, next) => {
  counts.callbacks++
  leakOnCallback?.()
  next()
})
app.use('/webhook', webhook)
app.use((error, _req, res, next) => (res.headersSent ? next(error) : res.status(error.status ?? 500).end()))
const server = app.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }))

server.keepAliveTimeout = 600_000 // a keep-alive connection must outlast a sample, which blocks this process

const isOver = new AbortController()
/** Calls an operator repeatedly, each time after the call before has ended. */
async function operate(ms, run) {
  while (!isOver.signal.aborted) {
    await run().catch(note)
    await wait(ms, undefined, { signal: isOver.signal }).catch(() => undefined)
  }
}
void operate(1_000, async () => {
  const [rows] = await Promise.all([inbox.list({ limit: 100 }), inbox.stats({ days: 7 })])
  counts.listed += rows.length
})
void operate(pruneEveryMs, async () => {
  const { pruned } = await inbox.prune({ olderThanDays: 0 })
  counts.pruned += pruned
})

/** The class of all timers. `getActiveResourcesInfo` leaves out timers that do not keep the process alive. */
const Timeout = setTimeout(() => undefined).constructor

/** The counts of this process so far. */
async function progress() {
  const { deliveries } = await inbox.stats()
  return { ...counts, waiting: deliveries.waiting + deliveries.running, errors: Object.fromEntries(errors) }
}

/** The counts, and the resources of this process. Collects twice, since finalizers and weak references free memory in the second collection. */
async function sample() {
  const done = await progress()
  for (let time = 0; time < 2; time++) {
    globalThis.gc()
    await turn()
  }
  const { heapUsed, external, rss } = process.memoryUsage()
  const byType = Object.groupBy(process.getActiveResourcesInfo(), (type) => type)
  return {
    ...done,
    heap: heapUsed + external,
    rss,
    descriptors: readdirSync('/proc/self/fd').length,
    resources: Object.fromEntries(Object.entries(byType).map(([type, all]) => [type, all.length])),
    timers: queryObjects(Timeout),
  }
}

/** Closes everything without `process.exit`, so that a resource that is still open keeps the process alive. */
async function close() {
  isOver.abort()
  process.removeListener('disconnect', abandon)
  server.close()
  await webhook.close()
  process.disconnect()
}

const abandon = () => process.exit(1)
process.once('disconnect', abandon)
const answers = { progress, sample }
process.on('message', async (what) => (what === 'close' ? await close() : process.send(await answers[what]())))
