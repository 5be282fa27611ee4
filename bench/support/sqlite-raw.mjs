import { randomBytes, randomUUID } from 'node:crypto'
import { DatabaseSync } from 'node:sqlite'
import { sqliteInbox } from 'conversion-webhook/sqlite'
import { storedCallback } from './callbacks.mjs'

/** Writes the same rows into the same tables with the same durability, without rules and without reading. */
export function sqliteRaw(file) {
  void sqliteInbox(file).close() // makes the tables
  const db = open(file)
  const claim = db.prepare(
    `INSERT INTO conversion_webhook_claims
     (id, identity, people, scope, status, goal, referrer_email, referee_email, purchase_value, is_forgotten)
     VALUES (?, ?, ?, '', 'success', 0, ?, ?, 1000, 0)`,
  )
  const delivery = db.prepare(
    `INSERT INTO conversion_webhook_deliveries
     (claim, event_key, sequence, state, attempts, holds, due_at, received_at, is_unheard, takes, scope, order_id, referrer_email, referee_email, callback)
     VALUES (?, 'success', 1, 'waiting', 0, 0, 0, ?, 0, 0, '', ?, ?, ?, ?)`,
  )
  const find = db.prepare(
    `SELECT d.number, d.claim FROM conversion_webhook_deliveries d
     CROSS JOIN conversion_webhook_claims c ON c.number = d.claim
     WHERE d.state = 'waiting' AND d.held_until IS NULL AND d.due_at <= ? ORDER BY d.due_at LIMIT ?`,
  )
  const give = db.prepare('UPDATE conversion_webhook_claims SET reserved_order = id, holder = number WHERE number = ?')
  const run = db.prepare(
    `UPDATE conversion_webhook_deliveries SET state = 'running', attempts = 1, started_at = ?, owner = ? WHERE number = ?`,
  )
  const end = db.prepare(
    `UPDATE conversion_webhook_deliveries SET state = 'done', owner = NULL, settled_at = ? WHERE number = ?`,
  )
  const owner = randomUUID()
  const insert = (callback) => {
    const [id, people] = [randomBytes(20).toString('hex'), randomBytes(20).toString('hex')]
    const { referrer_email: referrer, referee_email: referee, orderID } = callback.params
    const { lastInsertRowid } = claim.run(id, id, people, referrer, referee)
    delivery.run(lastInsertRowid, callback.receivedAt, orderID, referrer, referee, storedCallback(callback))
  }
  return {
    record: grouped(db, insert),
    recordAlone: insert,
    claimAndAck(limit) {
      db.exec('BEGIN IMMEDIATE')
      const found = find.all(Date.now(), limit)
      for (const { number, claim: of } of found) {
        give.run(of)
        run.run(Date.now(), owner, number)
      }
      db.exec('COMMIT')
      db.exec('BEGIN IMMEDIATE')
      for (const { number } of found) end.run(Date.now(), number)
      db.exec('COMMIT')
      return found.length
    },
    close: () => db.close(),
  }
}

/** Writes one row into one table with one index: the least that a recorder with SQLite's durability can do. */
export function sqliteLeast(file) {
  const db = open(file)
  db.exec('CREATE TABLE callbacks (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, callback TEXT NOT NULL)')
  const insert = db.prepare('INSERT INTO callbacks (id, callback) VALUES (?, ?)')
  return {
    record: grouped(db, (callback) => insert.run(randomBytes(20).toString('hex'), storedCallback(callback))),
    close: () => db.close(),
  }
}

function open(file) {
  const db = new DatabaseSync(file)
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON')
  return db
}

/** Writes what all callers of one turn of the event loop bring in one commit. */
function grouped(db, insert) {
  let queue = []
  const flush = () => {
    const group = queue
    queue = []
    db.exec('BEGIN IMMEDIATE')
    for (const { callback } of group) insert(callback)
    db.exec('COMMIT')
    for (const { resolve } of group) resolve()
  }
  return (callback) =>
    new Promise((resolve) => {
      if (queue.push({ callback, resolve }) === 1) setImmediate(flush)
    })
}
