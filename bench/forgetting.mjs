/*
 * Why: node:sqlite is synchronous, so callbacks wait while prune and erase run. Measures the longest turn of the event loop, and the longest
 * wait of a callback (one comes every 20 ms), in a SQLite file of a given number of conversions, settled half a minute apart:
 * `node bench/forgetting.mjs 1000000`. The row where nothing else is done shows the share of this machine's disk. On a shared machine the
 * most processor time of one turn is the better measure.
 */
import { copyFileSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as wait } from 'node:timers/promises'
import { conversionWebhook } from 'conversion-webhook'
import { sqliteInbox } from 'conversion-webhook/sqlite'
import { deliveries, sampleParams } from 'conversion-webhook/testing'
import { watchTurns } from './support/turns.mjs'

const rows = Number(process.argv[2] ?? 100_000)
const everyMs = 30_000
const folder = mkdtempSync(join(tmpdir(), 'conversion-webhook-forgetting-'))
const template = join(folder, 'template.db')
const ofAll = (share) => (rows * everyMs * (1 - share)) / 86_400_000 // days

async function open(file) {
  const inbox = sqliteInbox(file)
  const webhook = conversionWebhook({ onSuccess() {} }, { secret: false, inbox })
  await webhook.accept(sampleParams({ goal_complete: 0, orderID: 'first' }))
  await deliveries(inbox)
  return { inbox, webhook }
}

async function seed() {
  await (await open(template)).webhook.close()
  const db = new DatabaseSync(template)
  const columns = (table, ...others) =>
    db
      .prepare('SELECT name FROM pragma_table_info(?)')
      .all(`conversion_webhook_${table}`)
      .map(({ name }) => name)
      .filter((name) => !others.includes(name))
  const people = ['referrer_email', 'referee_email']
  const claim = columns('claims', 'number', 'id', 'identity', ...people).join(', ')
  const own = ['claim', 'number', 'received_at', 'settled_at', 'callback', 'order_id', ...people]
  const delivery = columns('deliveries', ...own).join(', ')
  const age = `(${rows} - c.number) * ${everyMs}`
  db.exec(`
    BEGIN;
    WITH RECURSIVE n (i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < ${rows})
    INSERT INTO conversion_webhook_claims (number, id, identity, referrer_email, referee_email, ${claim})
    SELECT i, lower(hex(randomblob(32))), '', 'r' || (abs(random()) % 100000) || '@shop.example', 'e' || i || '@shop.example',
      ${claim} FROM n, conversion_webhook_claims WHERE number = 1;
    UPDATE conversion_webhook_claims SET identity = id WHERE number > 1;
    INSERT INTO conversion_webhook_deliveries (claim, referrer_email, referee_email, order_id, received_at, settled_at, callback, ${delivery})
    SELECT c.number, c.referrer_email, c.referee_email, 'order ' || c.number, received_at - ${age}, received_at - ${age},
      replace(callback, '"at":' || received_at, '"at":' || (received_at - ${age})), ${delivery.replaceAll(/\w+/g, 'd.$&')}
    FROM conversion_webhook_claims c, conversion_webhook_deliveries d WHERE d.number = 1 AND c.number > 1;
    COMMIT;
    PRAGMA wal_checkpoint(TRUNCATE)`)
  db.close()
}

async function measure(what, work) {
  const file = join(folder, 'inbox.db')
  copyFileSync(template, file)
  const { inbox, webhook } = await open(file)
  let isOver = false
  const turns = watchTurns()
  const waits = []
  let refused = 0
  const startedAt = performance.now()
  const working = work(inbox).finally(() => (isOver = true))
  for (let order = 0; !isOver; order++) {
    const askedAt = performance.now()
    await webhook.accept(sampleParams({ goal_complete: 0, orderID: `new ${order}` })).catch(() => refused++)
    waits.push(performance.now() - askedAt)
    await wait(20)
  }
  const result = await working
  const seconds = (performance.now() - startedAt) / 1_000
  const { longestTurn, mostProcessorTime } = turns.stop()
  await webhook.close()
  waits.sort((a, b) => a - b)
  const ms = (value) => `${value.toFixed(0)} ms`
  return {
    what: `${what}${result?.pruned === undefined ? '' : ` (${result.pruned})`}`,
    takes: `${seconds.toFixed(1)} s`,
    'longest turn': ms(longestTurn),
    'processor time': ms(mostProcessorTime),
    callbacks: waits.length,
    refused,
    'median wait': ms(waits[waits.length >> 1]),
    'longest wait': ms(waits.at(-1)),
  }
}

try {
  await seed()
  console.log(
    `\nprune and erase of a SQLite file of ${rows} conversions, ${(statSync(template).size / 1e6).toFixed(0)} MB`,
  )
  console.log(`${process.version}, ${process.platform} ${process.arch}\n`)
  const table = []
  for (const [what, work] of [
    ['nothing', () => wait(5_000)],
    ['prune, nothing old enough', (inbox) => inbox.prune({ olderThanDays: ofAll(0) + 1 })],
    ['prune of a tenth', (inbox) => inbox.prune({ olderThanDays: ofAll(0.1) })],
    ['erase, nobody', (inbox) => inbox.erase({ email: 'nobody@shop.example' })],
    ['erase', (inbox) => inbox.erase({ email: 'e7@shop.example' })],
  ]) {
    table.push(await measure(what, work))
  }
  console.table(table)
} finally {
  rmSync(folder, { recursive: true, force: true })
}
