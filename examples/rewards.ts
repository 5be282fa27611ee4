/*
 * A shop on SQLite that pays rewards by the recipe of docs/rewards.md. The transaction that marks a delivery done also writes the reward, so
 * that each reward is written exactly once, even after a crash. Kill the process with -9 while you send callbacks, and start it again.
 * Node 24 runs this file without a build: `node examples/rewards.ts`.
 */
import { randomBytes } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { DatabaseSync } from 'node:sqlite'
import express from 'express'
import { conversionWebhook, type ConversionHandler, type SuccessConversion } from 'conversion-webhook'
import { sqliteInbox, type SqliteCommit } from 'conversion-webhook/sqlite'

interface Order {
  readonly number: string | number
  readonly email: string
  readonly state: string
  readonly paid_at: number
}

const dayMs = 86_400_000
const fold = (email: unknown) => String(email).trim().normalize('NFC').toLowerCase()
const claimOf = (id: string) => id.slice(0, id.lastIndexOf(':'))

/** A new secret at each start unless the variable is set: a fixed one in an example would be public. */
const secret = process.env.CONVERSION_WEBHOOK_SECRET ?? randomBytes(24).toString('base64url')
const file = process.env.FILE ?? 'rewards.db'
const inbox = sqliteInbox(file)

const shop = new DatabaseSync(file)
shop.exec(`
  CREATE TABLE IF NOT EXISTS orders (
    number TEXT PRIMARY KEY, email TEXT NOT NULL, state TEXT NOT NULL, paid_at INTEGER, total_cents INTEGER NOT NULL
  );
  CREATE TABLE IF NOT EXISTS rewards (
    order_number TEXT NOT NULL, kind TEXT NOT NULL, claim TEXT NOT NULL, email TEXT NOT NULL, cents INTEGER NOT NULL,
    PRIMARY KEY (order_number, kind)
  );
`)
const find = shop.prepare('SELECT number, email, state, paid_at FROM orders WHERE number = ?')

/** Two orders of a referee: 7001 is past its refund window, 7002 was paid today. */
const sell = shop.prepare("INSERT OR IGNORE INTO orders VALUES (?, 'friend@shop.example', 'paid', ?, ?)")
sell.run('7001', Date.now() - 40 * dayMs, 12_000)
sell.run('7002', Date.now(), 8000)

const book =
  (kind: string, percent: number, cents: number): ConversionHandler<SuccessConversion, SqliteCommit> =>
  async ({ orderId = null, referrer: { email = null } }, { id, commit }) => {
    await commit((db) => {
      const { changes } = db
        .prepare(
          `INSERT INTO rewards (order_number, kind, claim, email, cents)
           SELECT number, ?, ?, ?, total_cents * ? / 100 + ? FROM orders WHERE number = ? AND state = 'paid'`,
        )
        .run(kind, claimOf(id), email, percent, cents, orderId)
      if (changes !== 1) throw new Error('the order is not paid')
    })
    console.log(`${String(orderId)}: ${kind} for ${String(email)}`)
  }

const webhook = conversionWebhook(
  {
    onSuccess: book('reward', 10, 0), // a tenth of the order
    onGoalComplete: book('bonus', 0, 5000), // and 50.00 for the goal
    onFail: async ({ orderId }, { id, previous, commit }) => {
      if (previous?.status !== 'success') return // nothing was booked
      const sql = `INSERT INTO rewards (order_number, kind, claim, email, cents)
                   SELECT order_number, kind || ' back', claim, email, -cents FROM rewards
                   WHERE claim = ? AND cents > 0
                   ON CONFLICT DO NOTHING`
      await commit((db) => db.prepare(sql).run(claimOf(id)))
      console.log(`${String(orderId)}: taken back`)
    },
    onDead: ({ id, error }) => console.error('all attempts failed:', id, error),
  },
  {
    secret,
    inbox,
    confirm({ orderId, referrer, referee }) {
      if (!orderId || !referrer.email || !referee.email) return false
      const order = find.get(orderId) as Order | undefined
      if (!order) return 'hold' // the callback can be faster than the order
      if (String(order.number) !== orderId || fold(order.email) !== fold(referee.email)) return false // another's order
      if (order.state === 'open') return 'hold' // not paid yet
      if (order.state !== 'paid' || !order.paid_at || fold(order.email) === fold(referrer.email)) return false
      const dueAt = new Date(order.paid_at)
      dueAt.setDate(dueAt.getDate() + 30) // the refund window
      return dueAt < new Date() ? { order: order.number } : dueAt
    },
  },
)

const app = express()
app.use('/webhook', webhook)
// This answer holds names and addresses. Only this machine can ask for it, since the server listens on loopback.
app.get('/inbox', async (_req, res) => {
  res.json({ stats: await inbox.stats(), newest: await inbox.list({ limit: 10 }) })
})
const server = app.listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo
  console.log(`Callbacks go to http://localhost:${String(port)}/webhook/${secret}`)
})

// Answer the requests that have arrived, let handlers end, then close the file.
process.once('SIGTERM', () => {
  server.prependListener('request', (_req, res) => {
    res.shouldKeepAlive = false // or a client that keeps sending requests would keep the server open
  })
  server.close(() => {
    void webhook.close().then(() => {
      shop.close()
      console.log('closed')
    })
  })
  setTimeout(() => {
    server.closeAllConnections() // a client that never finishes its request would keep the server open too
  }, 2_000).unref()
})
