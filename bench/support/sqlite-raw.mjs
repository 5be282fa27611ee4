import { randomBytes } from 'node:crypto'
import { DatabaseSync } from 'node:sqlite'
import { sqliteInbox } from 'conversion-webhook/sqlite'

/** The same rows in the same tables with the same durability, and nothing else: no rules, no reading, no answers. */
export function sqliteRaw(file) {
  void sqliteInbox(file).close() // makes the tables
  const db = new DatabaseSync(file)
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON')
  const identity = db.prepare(
    `INSERT INTO conversion_webhook_claims
     (id, scope, status, goal, referrer_email, referee_email, purchase_value, is_forgotten, order_id, repeats)
     VALUES (?, '', 'success', 0, ?, ?, 1000, 0, ?, NULL)`,
  )
  const delivery = db.prepare(
    `INSERT INTO conversion_webhook_deliveries
     (identity, event_key, sequence, state, attempts, holds, due_at, received_at, is_unheard, callback)
     VALUES (?, 'success', 1, 'waiting', 0, 0, 0, ?, 0, ?)`,
  )
  const claim = db.prepare(
    `SELECT identity FROM conversion_webhook_deliveries
     WHERE state = 'waiting' AND held_until IS NULL AND due_at <= ? ORDER BY due_at LIMIT ?`,
  )
  const mark = db.prepare('UPDATE conversion_webhook_deliveries SET state = ? WHERE identity = ?')
  const insert = (callback) => {
    const id = randomBytes(20).toString('hex')
    const { params } = callback
    const { lastInsertRowid } = identity.run(id, params.referrer_email, params.referee_email, params.orderID)
    delivery.run(lastInsertRowid, callback.receivedAt, JSON.stringify(callback))
  }
  let queue = []
  const flush = () => {
    const group = queue
    queue = []
    db.exec('BEGIN IMMEDIATE')
    for (const { callback } of group) insert(callback)
    db.exec('COMMIT')
    for (const { resolve } of group) resolve()
  }
  return {
    record: (callback) =>
      new Promise((resolve) => {
        if (queue.push({ callback, resolve }) === 1) setImmediate(flush)
      }),
    recordAlone: insert,
    claimAndAck(limit) {
      db.exec('BEGIN IMMEDIATE')
      const found = claim.all(Date.now(), limit)
      for (const { identity: id } of found) mark.run('running', id)
      db.exec('COMMIT')
      db.exec('BEGIN IMMEDIATE')
      for (const { identity: id } of found) mark.run('done', id)
      db.exec('COMMIT')
      return found.length
    },
    close: () => db.close(),
  }
}
