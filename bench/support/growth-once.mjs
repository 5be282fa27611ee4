/*
 * One storage of bench/growth.mjs: `node growth-once.mjs <file or URL> <conversions>` fills it, asks everything some times and prints the
 * medians in milliseconds as JSON, with the plans of the queries.
 */
import { DatabaseSync } from 'node:sqlite'
import pg from 'pg'
import { conversionWebhook } from 'conversion-webhook'
import { sampleParams } from 'conversion-webhook/testing'
import { fillPostgres, fillSqlite, frequent, scopes } from './bulk.mjs'
import { median } from './report.mjs'

const [where, count] = process.argv.slice(2)
const rows = Number(count)
const isPostgres = where.startsWith('postgres:')
const times = 31
const quarantined = 10_000

/** What the store asks, written down. */
let asked = new Map()
const watch = (owner, method) => {
  const ask = owner[method]
  owner[method] = function (sql, ...rest) {
    if (typeof sql === 'string' && /^\s*(\(|SELECT|WITH)/.test(sql)) asked.set(sql, rest[0])
    return ask.call(this, sql, ...rest)
  }
}
watch(DatabaseSync.prototype, 'prepare')
watch(pg.Client.prototype, 'query')

async function openInbox() {
  if (isPostgres) return (await import('conversion-webhook/postgres')).postgresInbox({ connectionString: where })
  return (await import('conversion-webhook/sqlite')).sqliteInbox(where)
}

let told = () => undefined
const handlers = { onSuccess: ({ orderId }) => told(orderId), onError() {} }
const open = async () => {
  const inbox = await openInbox()
  return { inbox, webhook: conversionWebhook(handlers, { secret: false, inbox }) }
}
/** When a handler is told of an order. */
const tellingOf = (order) => new Promise((resolve) => (told = (orderId) => orderId === order && resolve()))

let next = 0
const params = (changes = {}) =>
  sampleParams({ goal_complete: '0', referee_email: `new${next}@shop.example`, orderID: `new ${next++}`, ...changes })
const nonsense = (webhook) =>
  webhook.accept(params({ conversion: 'nonsense', referrer_email: `stranger${next}@shop.example` }))

let { inbox, webhook } = await open()
const { conversion } = await (async () => {
  const telling = tellingOf('the order')
  await webhook.accept(params({ orderID: 'the order', referee_email: 'the friend@shop.example'.replace(' ', '+') }))
  await telling
  const [row] = await inbox.list({ limit: 1 })
  return row
})()
const stored = {
  status: 'success',
  scope: '',
  receivedAt: Date.now(),
  params: { ...conversion.params, referee_email: 'the friend@shop.example' },
  extra: {},
  repairs: [],
}
await webhook.close()
const fill = isPostgres ? fillPostgres : fillSqlite
await fill(where, rows, JSON.stringify(stored))
;({ inbox, webhook } = await open())
for (let from = 0; from < quarantined + 100; from += 100) {
  await Promise.all(Array.from({ length: 100 }, () => nonsense(webhook)))
}

const dead = await inbox.list({ state: 'dead', limit: times + 3 })
const some = await inbox.list({ limit: 1 })
const measures = {
  accept: () => webhook.accept(params()),
  claim: async () => {
    const { id, conversion: of } = dead.pop()
    const telling = tellingOf(of.orderId)
    await inbox.replay(id)
    return () => telling
  },
  'newest page': () => inbox.list(),
  'list by state, done': () => inbox.list({ state: 'done' }),
  'list by state, waiting': () => inbox.list({ state: 'waiting' }),
  'list by state, none': () => inbox.list({ state: 'withdrawn' }),
  'list by scope': () => inbox.list({ scope: scopes.hit }),
  'list by scope, none': () => inbox.list({ scope: scopes.none }),
  'list by scope and state': () => inbox.list({ scope: scopes.hit, state: 'dead' }),
  'list by order': () => inbox.list({ orderId: `order ${Math.floor(rows / 2)}` }),
  'list by order, none': () => inbox.list({ orderId: 'unknown' }),
  'list by e-mail': () => inbox.list({ email: `friend${Math.floor(rows / 2)}@shop.example` }),
  'list by e-mail, a tenth of all': () => inbox.list({ email: frequent }),
  'list by e-mail and state, none': () => inbox.list({ email: frequent, state: 'withdrawn' }),
  stats: () => inbox.stats(),
  'stats of a year': () => inbox.stats({ days: 366 }),
  get: () => inbox.get(some[0].id),
  'a refused callback': () => nonsense(webhook),
}

/** Each round asks everything once, so that all have the same share of what else the machine does. */
const results = Object.fromEntries(Object.keys(measures).map((what) => [what, []]))
results.replay = []
for (let round = 0; round < times + 3; round++) {
  for (const [what, run] of Object.entries(measures)) {
    const startedAt = performance.now()
    const then = await run()
    const ms = performance.now() - startedAt
    if (what === 'claim') {
      await then()
      if (round >= 3) results.replay.push(ms)
    }
    if (round >= 3) results[what].push(what === 'claim' ? performance.now() - startedAt - ms : ms)
  }
}
await webhook.close()

/** How a new store's queries are answered. */
const plans = {}
if (isPostgres) {
  ;({ inbox, webhook } = await open())
  const client = new pg.Client({ connectionString: where })
  await client.connect()
  for (const [what, run] of Object.entries(measures)) {
    if (what === 'claim' || what === 'accept' || what.startsWith('a refused')) continue
    asked = new Map()
    await run()
    const queries = [...asked]
    plans[what] = []
    for (const [sql, values] of queries) {
      const { rows: lines } = await client
        .query(`EXPLAIN ${sql}`, Array.isArray(values) ? values : [])
        .catch(() => ({ rows: [] }))
      plans[what].push(...lines.map((line) => line['QUERY PLAN']))
    }
  }
  await client.end()
  await webhook.close()
} else {
  const db = new DatabaseSync(where)
  for (const [what, run] of Object.entries(measures)) {
    if (what === 'claim' || what === 'accept' || what.startsWith('a refused')) continue
    ;({ inbox, webhook } = await open())
    asked = new Map()
    await run()
    const queries = [...asked.keys()]
    plans[what] = queries.flatMap((sql) => db.prepare(`EXPLAIN QUERY PLAN ${sql}`).all()).map(({ detail }) => detail)
    await webhook.close()
  }
  db.close()
}
console.log(
  JSON.stringify({
    medians: Object.fromEntries(Object.entries(results).map(([what, all]) => [what, median(all)])),
    most: Object.fromEntries(Object.entries(results).map(([what, all]) => [what, Math.max(...all)])),
    plans,
  }),
)
