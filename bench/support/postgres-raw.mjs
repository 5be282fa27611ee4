import { randomBytes, randomUUID } from 'node:crypto'
import pg from 'pg'
import { postgresInbox } from 'conversion-webhook/postgres'
import { storedCallback } from './callbacks.mjs'

/** Writes the same rows into the same tables, 100 an INSERT, without rules, locks and jobs. */
export async function postgresRaw(url) {
  const inbox = postgresInbox({ connectionString: url })
  await inbox.stats() // makes the tables
  await inbox.close()
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  const owner = randomUUID()
  let queue = []
  let isBusy = false
  const insert = async (group) => {
    const hashes = () => group.map(() => randomBytes(20).toString('hex'))
    const ids = hashes()
    await client.query('BEGIN')
    const { referrer_email: referrer, referee_email: referee } = group[0].callback.params
    await client.query(
      `INSERT INTO conversion_webhook.claims
       (id, identity, people, scope, status, goal, referrer_email, referee_email, purchase_value, is_forgotten)
       SELECT id, id, people, '', 'success', 0, $3, $4, 1000, 0 FROM unnest($1::text[], $2::text[]) AS v (id, people)`,
      [ids, hashes(), referrer, referee],
    )
    await client.query(
      `INSERT INTO conversion_webhook.deliveries
       (claim, event_key, sequence, state, attempts, holds, due_at, received_at, is_unheard, takes,
        scope, order_id, referrer_email, referee_email, callback)
       SELECT id, 'success', 1, 'waiting', 0, 0, 0, $2, 0, 0, '', order_id, $4, $5, callback
       FROM unnest($1::text[], $3::text[], $6::text[]) AS v (id, callback, order_id)`,
      [
        ids,
        Date.now(),
        group.map(({ callback }) => storedCallback(callback)),
        referrer,
        referee,
        group.map(({ callback }) => callback.params.orderID),
      ],
    )
    await client.query('COMMIT')
  }
  const flush = async () => {
    isBusy = true
    while (queue.length > 0) {
      const group = queue.slice(0, 100)
      queue = queue.slice(100)
      await insert(group)
      for (const { resolve } of group) resolve()
      await new Promise(setImmediate)
    }
    isBusy = false
  }
  return {
    record: (callback) =>
      new Promise((resolve) => {
        queue.push({ callback, resolve })
        if (!isBusy) {
          isBusy = true
          setImmediate(flush)
        }
      }),
    async claimAndAck(limit) {
      await client.query('BEGIN')
      const { rows } = await client.query(
        `UPDATE conversion_webhook.deliveries SET state = 'running', attempts = 1, started_at = $1, owner = $3
         WHERE (claim, event_key) IN (
           SELECT claim, event_key FROM conversion_webhook.deliveries WHERE state = 'waiting' AND due_at <= $1
           ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED) RETURNING claim`,
        [Date.now(), limit, owner],
      )
      const claims = rows.map(({ claim }) => claim)
      await client.query(
        'INSERT INTO conversion_webhook.reservations (order_key, claim) SELECT id, id FROM unnest($1::text[]) AS id',
        [claims],
      )
      await client.query('UPDATE conversion_webhook.claims SET reserved_order = id WHERE id = ANY($1)', [claims])
      await client.query('COMMIT')
      await client.query(
        `UPDATE conversion_webhook.deliveries SET state = 'done', owner = NULL, settled_at = $2 WHERE claim = ANY($1)`,
        [claims, Date.now()],
      )
      return rows.length
    },
    close: () => client.end(),
  }
}
