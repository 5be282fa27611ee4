/*
 * Why: node:sqlite is synchronous, so while a query runs the process does nothing else. Measures every operator on a SQLite file of a given
 * number of conversions with a full quarantine (`node bench/operators.mjs 1000000`): the longest turn of the event loop in several runs, the
 * most processor time of one turn, and the time of the whole operation. A tenth of all conversions have one address, half of them one scope.
 * The row where nothing is done shows the share of other programs on this machine.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { conversionWebhook } from 'conversion-webhook'
import { sqliteInbox } from 'conversion-webhook/sqlite'
import { sampleParams } from 'conversion-webhook/testing'
import { fillSqlite, frequent, scopes } from './support/bulk.mjs'
import { storedCallback } from './support/callbacks.mjs'
import { median } from './support/report.mjs'
import { watchTurns } from './support/turns.mjs'

const rows = Number(process.argv[2] ?? 100_000)
const quarantined = 10_000
const runs = 5
const goalMs = 50
const yearOfDays = 366
const nearlyAll = 0.9

/** Fills a file with the conversions of a year and a full quarantine. */
async function seed(file) {
  const first = sqliteInbox(file)
  await first.stats() // makes the tables
  await first.close()
  const params = sampleParams({ goal_complete: '0', orderID: 'the order', referee_email: 'the friend@shop.example' })
  const callback = { status: 'success', scope: '', receivedAt: 0, params, extra: {}, repairs: [] }
  fillSqlite(file, rows, storedCallback(callback))
  const webhook = conversionWebhook({}, { secret: false, inbox: sqliteInbox(file) })
  const refuse = (order) =>
    webhook.accept(sampleParams({ conversion: 'nonsense', orderID: `refused ${order}`, referrer_email: frequent }))
  for (let from = 0; from < quarantined; from += 100) {
    await Promise.allSettled(Array.from({ length: 100 }, (_, index) => refuse(from + index)))
  }
  await webhook.close()
}

/** Measures the turns of the event loop while `work` runs, and its milliseconds. */
async function watch(work) {
  const turns = watchTurns()
  await wait(2)
  const startedAt = performance.now()
  await work()
  const takes = performance.now() - startedAt
  await wait(2)
  return { ...turns.stop(), takes }
}

/** Fills the file in another process: freeing that much memory would pause this one while it measures. */
function seedElsewhere(file) {
  const { status } = spawnSync(process.execPath, [import.meta.filename, String(rows), file], { stdio: 'inherit' })
  if (status !== 0) throw new Error(`filling the file failed with exit code ${status}`)
}

async function measure(inbox) {
  const middle = Math.floor(rows / 2)
  const order = { orderId: `order ${middle}` }
  const friend = { email: `friend${middle}@shop.example` }
  const often = { email: frequent }
  const [{ id: middleId }] = await inbox.list(order)
  const before = { before: middleId }
  const [newest] = await inbox.list({ state: 'done', limit: 1 })
  const dead = await inbox.list({ state: 'dead', limit: 2 * runs })
  const list = (query) => () => inbox.list(query)
  const [hit, none] = [{ scope: scopes.hit }, { scope: scopes.none }]
  const most = { limit: 1_000 }
  const lists = {
    list: {},
    'list, 1,000 rows': most,
    'list, before the middle': { ...before, ...most },
    'list by state, done': { state: 'done', ...most },
    'list by state, none': { state: 'withdrawn' },
    'list by state, refused': { state: 'refused', ...most },
    'list by state, before the middle': { state: 'done', ...before, ...most },
    'list by scope': { ...hit, ...most },
    'list by scope, none': none,
    'list by scope and state': { ...hit, state: 'dead', ...most },
    'list by scope and state, none': { ...hit, state: 'withdrawn' },
    'list by order': order,
    'list by order, none': { orderId: 'unknown' },
    'list by order and e-mail': { ...order, ...friend },
    'list by order and state, none': { ...order, state: 'withdrawn' },
    'list by e-mail': friend,
    'list by e-mail, a tenth of all': { ...often, ...most },
    'list by e-mail, a tenth of all, before the middle': { ...often, ...before, ...most },
    'list by e-mail and state, a tenth of all': { ...often, state: 'done', ...most },
    'list by e-mail and state, none': { ...often, state: 'withdrawn' },
    'list by e-mail and scope, none': { ...often, ...none },
    'list by e-mail, scope and state, none': { ...often, ...hit, state: 'withdrawn' },
  }
  const works = {
    'nothing, for 5 s': [() => wait(5_000)],
    ...Object.fromEntries(Object.entries(lists).map(([what, query]) => [what, [list(query), runs]])),
    get: [() => inbox.get(newest.id), runs],
    replay: [() => inbox.replay(dead.pop().id), runs],
    stats: [() => inbox.stats(), runs],
    'stats of a year': [() => inbox.stats({ days: yearOfDays }), runs],
    'prune, nothing old enough': [() => inbox.prune({ olderThanDays: 2 * yearOfDays })],
    'erase, nobody': [() => inbox.erase({ email: 'nobody@shop.example' })],
    'prune of a tenth': [() => inbox.prune({ olderThanDays: nearlyAll * 365 })],
    erase: [() => inbox.erase(friend)],
  }
  const table = []
  for (const [what, [work, times = 1]] of Object.entries(works)) {
    const found = []
    for (let run = 0; run < times; run++) found.push(await watch(work))
    const most = (measured) => Math.max(...found.map((each) => each[measured]))
    const longestTurn = most('longestTurn')
    const takes = median(found.map((each) => each.takes))
    table.push({
      what,
      takes: takes < 10_000 ? `${takes.toFixed(1)} ms` : `${(takes / 1_000).toFixed(1)} s`,
      'longest turn': `${longestTurn.toFixed(0)} ms`,
      'processor time': `${most('mostProcessorTime').toFixed(0)} ms`,
      [`<= ${goalMs} ms`]: longestTurn <= goalMs ? 'met' : 'missed',
    })
  }
  return table
}

const toSeed = process.argv[3]
if (toSeed !== undefined) {
  await seed(toSeed)
  process.exit()
}
const folder = mkdtempSync(join(tmpdir(), 'conversion-webhook-operators-'))
const file = join(folder, 'inbox.db')
try {
  seedElsewhere(file)
  const megabytes = (statSync(file).size / 1e6).toFixed(0)
  console.log(
    `\nHow long each operator blocks the event loop, in a SQLite file of ${rows} conversions, ${megabytes} MB`,
  )
  console.log(`${process.version}, ${process.platform} ${process.arch}, ${cpus().length} cores\n`)
  const inbox = sqliteInbox(file)
  conversionWebhook({}, { secret: false, inbox }) // with a webhook, rows have their `conversion`; without handlers nothing is delivered
  console.table(await measure(inbox))
  await inbox.close()
} finally {
  rmSync(folder, { recursive: true, force: true })
}
