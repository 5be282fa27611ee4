/*
 * A rewards ledger on SQLite: each entry is written in the transaction that marks its delivery done, so that it is there exactly once,
 * whatever crashes. Kill it with -9 while you send callbacks, and start it again. Node 24 runs it as it is: `node examples/rewards.ts`.
 */
import { randomBytes } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import type { DatabaseSync } from 'node:sqlite'
import express from 'express'
import { conversionWebhook } from 'conversion-webhook'
import { sqliteInbox } from 'conversion-webhook/sqlite'

/** Stands for the shop's own orders, the only source of amounts. */
const paidOrders = new Map([
  ['A-1', 120],
  ['A-2', 80],
])

/** An entry of the ledger: positive for a reward, negative where it is taken back. Gives the balance. */
function book(db: DatabaseSync, id: string, email: string, amount: number): unknown {
  db.exec('CREATE TABLE IF NOT EXISTS rewards (id TEXT PRIMARY KEY, email TEXT, amount REAL)')
  db.prepare('INSERT INTO rewards VALUES (?, ?, ?)').run(id, email, amount)
  return db.prepare('SELECT total(amount) AS balance FROM rewards WHERE email = ?').get(email)?.balance
}

/** Without the variable a new one at each start: a secret that stands in an example is none. */
const secret = process.env.CONVERSION_WEBHOOK_SECRET ?? randomBytes(24).toString('base64url')
const inbox = sqliteInbox(process.env.FILE ?? 'rewards.db')
const webhook = conversionWebhook(
  {
    async onSuccess({ orderId = '', referrer: { email = '' } }, { id, commit }) {
      const amount = (paidOrders.get(orderId) ?? 0) * 0.1
      const balance = await commit((db) => book(db, id, email, amount))
      console.log(`${orderId} rewards ${email} with ${String(amount)}, balance ${String(balance)}`)
    },
    async onFail({ orderId = '', referrer: { email = '' } }, { id, previous, commit }) {
      if (previous?.status !== 'success') return // nothing was paid
      const amount = (paidOrders.get(orderId) ?? 0) * -0.1
      const balance = await commit((db) => book(db, id, email, amount))
      console.log(`${orderId} failed, ${String(amount)} for ${email}, balance ${String(balance)}`)
    },
    onDead: ({ id, error }) => console.error('tried in vain:', id, error),
  },
  {
    secret,
    inbox,
    confirm: ({ orderId = '' }) => paidOrders.has(orderId),
  },
)

const app = express()
app.use('/webhook', webhook)
// Names and addresses, for this machine only: the server listens on loopback.
app.get('/inbox', async (_req, res) => {
  res.json({ stats: await inbox.stats(), newest: await inbox.list({ limit: 10 }) })
})
const server = app.listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo
  console.log(`Callbacks go to http://localhost:${String(port)}/webhook/${secret}`)
})

// Answer what is on its way, let handlers end, then close the file.
process.once('SIGTERM', () => {
  server.close(() => {
    void webhook.close().then(() => console.log('closed'))
  })
  server.closeIdleConnections()
})
