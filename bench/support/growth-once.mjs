/*
 * One database of bench/growth.mjs: `node growth-once.mjs <where> <conversions> <where> <conversions> …` fills each file or URL and runs every
 * operation on each in turn, so that other programs of the machine disturb all alike. Prints the median milliseconds as JSON, with the query
 * plans of the last database.
 */
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as wait } from 'node:timers/promises'
import pg from 'pg'
import { conversionWebhook } from 'conversion-webhook'
import { sampleParams } from 'conversion-webhook/testing'
import { fillPostgres, fillSqlite, frequent, scopes } from './bulk.mjs'
import { storedCallback } from './callbacks.mjs'
import { median } from './report.mjs'

const given = process.argv.slice(2)
const places = given.flatMap((where, index) => (index % 2 === 0 ? [{ where, rows: Number(given[index + 1]) }] : []))
const isPostgres = given[0].startsWith('postgres:')
const times = 31
const warmUps = 3
const quarantined = 10_000

/** The statements that the store has run. */
const asked = new Map()
const watch = (owner, method) => {
  const ask = owner[method]
  owner[method] = function (sql, ...rest) {
    if (typeof sql === 'string' && /^\s*(\(|SELECT|WITH)/.test(sql) && !/pg_|pgboss|\.job\b|max\(version\)/.test(sql))
      asked.set(sql, rest[0])
    return ask.call(this, sql, ...rest)
  }
}
watch(DatabaseSync.prototype, 'prepare')
watch(pg.Client.prototype, 'query')

async function openInbox(where) {
  if (isPostgres) return (await import('conversion-webhook/postgres')).postgresInbox({ connectionString: where })
  return (await import('conversion-webhook/sqlite')).sqliteInbox(where)
}

let told = () => undefined
const handlers = { onSuccess: ({ orderId }) => told(orderId), onError() {} }
async function open(where) {
  const inbox = await openInbox(where)
  return { inbox, webhook: conversionWebhook(handlers, { secret: false, inbox }) }
}

/** Resolves when the handler of an order runs. */
const tellingOf = (order) => new Promise((resolve) => (told = (orderId) => orderId === order && resolve()))

let next = 0
const params = (changes = {}) =>
  sampleParams({ goal_complete: '0', referee_email: `new${next}@shop.example`, orderID: `new ${next++}`, ...changes })
const nonsense = (webhook) =>
  webhook.accept(params({ conversion: 'nonsense', referrer_email: `stranger${next}@shop.example` }))

/** Fills a storage with conversions and a full quarantine. Resolves with the operations to measure. */
async function storageOf({ where, rows }) {
  const first = await openInbox(where)
  await first.stats() // makes the tables
  await first.close()
  const callback = {
    status: 'success',
    scope: '',
    receivedAt: 0, // each row gets its own time
    params: sampleParams({ goal_complete: '0', orderID: 'the order', referee_email: 'the friend@shop.example' }),
    extra: {},
    repairs: [],
  }
  await (isPostgres ? fillPostgres : fillSqlite)(where, rows, storedCallback(callback))
  const { inbox, webhook } = await open(where)
  for (let from = 0; from < quarantined + 100; from += 100) {
    await Promise.all(Array.from({ length: 100 }, () => nonsense(webhook)))
  }
  const dead = await inbox.list({ state: 'dead', limit: times + warmUps })
  const [newest] = await inbox.list({ state: 'done', limit: 1 })
  const writing = {
    /** `accept` and `replay` resolve with a function that awaits the delivery, which is not measured. */
    accept: async () => {
      const changes = params()
      const telling = tellingOf(changes.orderID)
      await webhook.accept(changes)
      return () => telling
    },
    replay: async () => {
      const { id, conversion } = dead.pop()
      const telling = tellingOf(conversion.orderId)
      await inbox.replay(id)
      return () => telling
    },
    'a refused callback': () => nonsense(webhook),
  }
  const asking = (of = inbox) => ({
    'newest page': () => of.list(),
    'list by state, done': () => of.list({ state: 'done' }),
    'list by state, waiting': () => of.list({ state: 'waiting' }),
    'list by state, none': () => of.list({ state: 'withdrawn' }),
    'list by scope': () => of.list({ scope: scopes.hit }),
    'list by scope, none': () => of.list({ scope: scopes.none }),
    'list by scope and state': () => of.list({ scope: scopes.hit, state: 'dead' }),
    'list by order': () => of.list({ orderId: `order ${Math.floor(rows / 2)}` }),
    'list by order, none': () => of.list({ orderId: 'unknown' }),
    'list by e-mail': () => of.list({ email: `friend${Math.floor(rows / 2)}@shop.example` }),
    'list by e-mail, a tenth of all': () => of.list({ email: frequent }),
    'list by e-mail and state, none': () => of.list({ email: frequent, state: 'withdrawn' }),
    stats: () => of.stats(),
    'stats of a year': () => of.stats({ days: 366 }),
    get: () => of.get(newest.id),
  })
  return { where, webhook, writing, asking, measures: { ...writing, ...asking() }, results: new Map() }
}

const note = (results, what, ms) => results.set(what, [...(results.get(what) ?? []), ms])

const storages = []
for (const place of places) storages.push(await storageOf(place))
for (let round = 0; round < times + warmUps; round++) {
  for (const what of Object.keys(storages[0].measures)) {
    for (let turn = 0; turn < storages.length; turn++) {
      const { measures, results } = storages[(round + turn) % storages.length]
      await wait(2) // for work that the operation before has left
      const startedAt = performance.now()
      const then = await measures[what]()
      const endedAt = performance.now()
      if (typeof then === 'function') await then()
      if (round < warmUps) continue
      note(results, what, endedAt - startedAt)
      if (what === 'replay') note(results, 'claim', performance.now() - endedAt)
    }
  }
}
for (const { webhook } of storages) await webhook.close()

/** The query plans of the last storage's operations. Each uses a new inbox, which has prepared no statement yet. */
async function plansOf({ where, asking }) {
  const plans = {}
  const client = isPostgres ? new pg.Client({ connectionString: where }) : new DatabaseSync(where)
  if (isPostgres) await client.connect()
  for (const what of Object.keys(asking())) {
    const inbox = await openInbox(where)
    await inbox.get('x') // connects
    asked.clear()
    await asking(inbox)[what]()
    const queries = [...asked]
    await inbox.close()
    plans[what] = []
    for (const [sql, values] of queries) {
      const explained = isPostgres
        ? (await client.query(`EXPLAIN ${sql}`, values ?? [])).rows.map((line) => line['QUERY PLAN'])
        : client
            .prepare(`EXPLAIN QUERY PLAN ${sql}`)
            .all()
            .map(({ detail }) => detail)
      plans[what].push(...explained)
    }
  }
  await (isPostgres ? client.end() : client.close())
  return plans
}

const medians = storages.map(({ results }) =>
  Object.fromEntries([...results].map(([what, all]) => [what, median(all)])),
)
console.log(JSON.stringify({ medians, plans: await plansOf(storages.at(-1)) }))
