/*
 * Writes the conversions of a year in bulk, as the inbox would record them. Each has an order and a referee of its own. One in twenty is
 * dead, one in twenty held, the others done; a tenth have the same referrer, and half have a scope.
 */
import { createHash } from 'node:crypto'
import { DatabaseSync } from 'node:sqlite'
import pg from 'pg'

const yearMs = 365 * 86_400_000
export const frequent = 'frequent@shop.example'
export const scopes = { hit: 'spring', none: 'autumn' }

/** SQL expressions of the number \`i\` of a conversion that both databases understand. */
const parts = (text) => ({
  scope: `CASE i % 2 WHEN 0 THEN '${scopes.hit}' ELSE '' END`,
  referrer: `CASE i % 10 WHEN 0 THEN '${frequent}' ELSE 'referrer' || (i % 5000) || '@shop.example' END`,
  referee: `'friend' || i || '@shop.example'`,
  order: `'order ' || i`,
  state: `CASE i % 20 WHEN 7 THEN 'dead' WHEN 9 THEN 'waiting' ELSE 'done' END`,
  callback: `replace(replace(${text}, 'the order', 'order ' || i), 'the friend', 'friend' || i)`,
})

/** Writes the counters that the inbox would have. */
const counts = (prefix, columns, values) => [
  `DELETE FROM ${prefix}days`,
  `DELETE FROM ${prefix}counters WHERE name LIKE 'deliveries.%'`,
  `INSERT INTO ${prefix}days (day, event_key${columns}, count)
   SELECT received_at / 86400000, event_key${values}, count(*) FROM ${prefix}deliveries GROUP BY 1, 2`,
  `INSERT INTO ${prefix}counters (name${columns}, value)
   SELECT 'deliveries.' || CASE WHEN state = 'waiting' THEN 'held' ELSE state END${values}, count(*) FROM ${prefix}deliveries GROUP BY 1`,
]

const claimColumns =
  'id, identity, people, scope, status, goal, referrer_email, referee_email, purchase_value, is_forgotten, reserved_order'
const deliveryColumns =
  'claim, event_key, sequence, state, attempts, holds, held_since, first_date, held_until, due_at, received_at, settled_at, is_unheard, takes, scope, order_id, referrer_email, referee_email, callback'

function insertDeliveries(prefix, claim, source, text, rows, now) {
  const { scope, referrer, referee, order, state, callback } = parts(text)
  const receivedAt = `${now} - (${rows} - i) * ${Math.floor(yearMs / rows)}`
  const later = now + 14 * 86_400_000
  const received = `replace(${callback}, '"at":0', '"at":' || (${receivedAt}))`
  return `INSERT INTO ${prefix}deliveries (${deliveryColumns})
    SELECT ${claim}, 'success', 1, ${state}, 1, 0, NULL, NULL, CASE i % 20 WHEN 9 THEN ${later} END,
      CASE i % 20 WHEN 9 THEN ${later} ELSE 0 END, ${receivedAt}, ${receivedAt}, 0, 0, ${scope}, ${order}, ${referrer}, ${referee}, ${received}
    FROM ${source}`
}

export function fillSqlite(file, rows, callback, now = Date.now()) {
  const db = new DatabaseSync(file)
  const hash = (number) => createHash('sha1').update(String(number)).digest('hex')
  db.function('hash_of', { deterministic: true }, hash)
  db.exec('PRAGMA synchronous = OFF; PRAGMA cache_size = -500000; BEGIN')
  const prefix = 'conversion_webhook_'
  const { scope, referrer, referee } = parts()
  const from = Number(db.prepare(`SELECT coalesce(max(number), 0) AS n FROM ${prefix}claims`).get().n)
  const numbers = `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${rows})`
  // Each claim has its own order.
  db.exec(`${numbers} INSERT INTO ${prefix}claims (number, holder, ${claimColumns})
    SELECT ${from} + i, ${from} + i, hash_of(i), hash_of(i), hash_of(-i), ${scope}, 'success', 0, ${referrer}, ${referee}, 1000, 0, hash_of(i) FROM n`)
  const text = `'${callback.replaceAll("'", "''")}'`
  db.exec(`${numbers} ${insertDeliveries(prefix, `${from} + i`, 'n', text, rows, now)}`)
  for (const sql of counts(prefix, '', '')) db.exec(sql)
  db.exec('COMMIT; PRAGMA wal_checkpoint(TRUNCATE)')
  db.close()
}

export async function fillPostgres(url, rows, callback, now = Date.now()) {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  const prefix = 'conversion_webhook.'
  const { scope, referrer, referee } = parts()
  const hash = (number) => `left(md5((${number})::text) || md5('x' || (${number})), 40)`
  const numbers = `generate_series(1::bigint, ${rows}) AS n (i)`
  await client.query(`INSERT INTO ${prefix}claims (${claimColumns})
    SELECT ${hash('i')}, ${hash('i')}, ${hash('-i')}, ${scope}, 'success', 0, ${referrer}, ${referee}, 1000, 0, ${hash('i')} FROM ${numbers}`)
  const text = `'${callback.replaceAll("'", "''")}'`
  await client.query(insertDeliveries(prefix, hash('i'), numbers, text, rows, now))
  await client.query(
    `INSERT INTO ${prefix}reservations (order_key, claim) SELECT id, id FROM ${prefix}claims ON CONFLICT DO NOTHING`,
  )
  for (const sql of counts(prefix, ', slot', ', 0')) await client.query(sql)
  await client.query('VACUUM ANALYZE')
  await client.end()
}
