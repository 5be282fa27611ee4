/*
 * One measurement of bench/sqlite.mjs or bench/postgres.mjs: `node inbox-once.mjs <what> <file or URL>` prints JSON. `<what>` is `inbox`, `raw`,
 * `least`, `single`, `drain`, `drain-default`, `raw-drain`, `latency`, or `paid` with the answer of `confirm`.
 */
import { conversionWebhook } from 'conversion-webhook'
import { nextCallback, rate as rateOf } from './callbacks.mjs'
import { postgresRaw } from './postgres-raw.mjs'
import { sqliteLeast, sqliteRaw } from './sqlite-raw.mjs'

const [what, where] = process.argv.slice(2)
const isPostgres = where.startsWith('postgres:')
const callers = isPostgres ? 100 : 32
const rows = isPostgres ? 10_000 : 30_000
const backlog = 5_000

async function openInbox() {
  if (isPostgres) return (await import('conversion-webhook/postgres')).postgresInbox({ connectionString: where })
  return (await import('conversion-webhook/sqlite')).sqliteInbox(where)
}
const attach = (inbox, handlers = {}, options = {}) => conversionWebhook(handlers, { secret: false, inbox, ...options })

/** Rows a second that `record` writes, called by many callers at a time. */
async function rate(record, total, atATime = callers) {
  for (let index = 0; index < 20; index++) await record() // opens connections and prepares statements
  return rateOf(record, total, atATime)
}

/** Conversions recorded and delivered a second, and microseconds of this process's processor time for each. */
async function paid(confirm) {
  const ends = new Map()
  const inbox = await openInbox()
  const onSuccess = ({ orderId }) => ends.get(orderId)()
  const webhook = attach(inbox, { onSuccess }, { concurrency: callers, ...(confirm && { confirm }) })
  const pay = async () => {
    const callback = nextCallback()
    const { orderID } = callback.params
    const end = new Promise((resolve) => ends.set(orderID, resolve))
    await Promise.all([inbox.accept(callback), end])
    ends.delete(orderID)
  }
  await rate(pay, backlog) // warm-up: until V8 has compiled the measured code
  const from = process.cpuUsage()
  const perSecond = await rate(pay, backlog)
  const { user, system } = process.cpuUsage(from)
  await webhook.close()
  return { perSecond, micros: (user + system) / backlog }
}

/** Records a backlog without handlers, and measures its delivery by a webhook whose handler does nothing. */
async function drain(options) {
  const receiver = attach(await openInbox())
  await rate(() => receiver.inbox.accept(nextCallback()), backlog)
  await receiver.close()
  const inbox = await openInbox()
  let done = 0
  let startedAt
  const webhook = attach(inbox, { onSuccess: () => void ((startedAt ??= performance.now()), done++) }, options)
  while (done < backlog) await new Promise((resolve) => setTimeout(resolve, 2))
  while ((await inbox.stats()).deliveries.running > 0) await new Promise((resolve) => setTimeout(resolve, 2))
  const perSecond = (backlog / (performance.now() - startedAt)) * 1_000
  await webhook.close()
  return perSecond
}

const measures = {
  async inbox() {
    const webhook = attach(await openInbox())
    const perSecond = await rate(() => webhook.inbox.accept(nextCallback()), rows)
    await webhook.close()
    return perSecond
  },
  async raw() {
    const raw = isPostgres ? await postgresRaw(where) : sqliteRaw(where)
    const perSecond = await rate(() => raw.record(nextCallback()), rows)
    await raw.close()
    return perSecond
  },
  async least() {
    const raw = sqliteLeast(where)
    const perSecond = await rate(() => raw.record(nextCallback()), rows)
    raw.close()
    return perSecond
  },
  async single() {
    const raw = sqliteRaw(where)
    const perSecond = await rate(async () => raw.recordAlone(nextCallback()), 2_000, 1)
    await raw.close()
    return perSecond
  },
  drain: () => drain({ concurrency: 100 }),
  'drain-default': () => drain(),
  async 'raw-drain'() {
    const raw = isPostgres ? await postgresRaw(where) : sqliteRaw(where)
    await rate(() => raw.record(nextCallback()), backlog)
    const startedAt = performance.now()
    let done = 0
    for (let count; (count = await raw.claimAndAck(100)) > 0;) done += count
    const perSecond = (done / (performance.now() - startedAt)) * 1_000
    await raw.close()
    return perSecond
  },
  paid: () => paid(),
  'paid, true': () => paid(() => true),
  'paid, order': () => paid(({ orderId }) => ({ order: `number of ${orderId}` })),
  /** Milliseconds from the commit's promise to the handler's first line: the median of 200. */
  async latency() {
    let started
    const webhook = attach(await openInbox(), { onSuccess: () => started(performance.now()) })
    await webhook.inbox.stats()
    await new Promise((resolve) => setTimeout(resolve, 500))
    const times = []
    for (let index = 0; index < 200; index++) {
      const start = new Promise((resolve) => (started = resolve))
      await webhook.inbox.accept(nextCallback())
      const answeredAt = performance.now()
      times.push(Math.max(0, (await start) - answeredAt))
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    await webhook.close()
    return times.sort((a, b) => a - b)[100]
  },
}

console.log(JSON.stringify(await measures[what]()))
