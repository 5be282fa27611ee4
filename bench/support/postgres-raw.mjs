import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { postgresInbox } from 'conversion-webhook/postgres'

/** The same rows in the same tables, 100 an INSERT, and nothing else: no rules, no locks, no jobs. */
export async function postgresRaw(url) {
  const inbox = postgresInbox({ connectionString: url })
  await inbox.stats() // makes the tables
  await inbox.close()
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  let queue = []
  let isBusy = false
  const insert = async (group) => {
    const ids = group.map(() => randomBytes(20).toString('hex'))
    await client.query('BEGIN')
    await client.query(
      `INSERT INTO conversion_webhook.identities
       (id, scope, status, goal, referrer_email, referee_email, purchase_value, is_forgotten, order_id)
       SELECT id, '', 'success', 0, $2, $3, 1000, 0, order_id FROM unnest($1::text[], $4::text[]) AS v (id, order_id)`,
      [
        ids,
        group[0].callback.params.referrer_email,
        group[0].callback.params.referee_email,
        group.map(({ callback }) => callback.params.orderID),
      ],
    )
    await client.query(
      `INSERT INTO conversion_webhook.deliveries
       (identity, event_key, sequence, state, attempts, holds, due_at, received_at, is_unheard, callback)
       SELECT id, 'success', 1, 'waiting', 0, 0, 0, $2, 0, callback FROM unnest($1::text[], $3::text[]) AS v (id, callback)`,
      [ids, Date.now(), group.map(({ callback }) => JSON.stringify(callback))],
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
      const { rows } = await client.query(
        `UPDATE conversion_webhook.deliveries SET state = 'running' WHERE (identity, event_key) IN (
           SELECT identity, event_key FROM conversion_webhook.deliveries WHERE state = 'waiting' AND due_at <= $1
           ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED) RETURNING identity`,
        [Date.now(), limit],
      )
      await client.query(`UPDATE conversion_webhook.deliveries SET state = 'done' WHERE identity = ANY($1)`, [
        rows.map(({ identity }) => identity),
      ])
      return rows.length
    },
    close: () => client.end(),
  }
}
