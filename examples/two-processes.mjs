/*
 * Two Express processes on one PostgreSQL database. Send a callback to either of them: one of the two delivers it, once, by the recipe of
 * docs/rewards.md. Starts a server of its own unless you name yours: DATABASE_URL=postgres://… node examples/two-processes.mjs
 */
import { fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

if (process.send) await serve()
else await startBoth()

async function serve() {
  const { default: express } = await import('express')
  const { conversionWebhook } = await import('conversion-webhook')
  const { postgresInbox } = await import('conversion-webhook/postgres')

  const { default: pg } = await import('pg')

  const secret = process.env.CONVERSION_WEBHOOK_SECRET
  const connectionString = process.env.DATABASE_URL
  const shop = new pg.Pool({ connectionString })
  const find = 'SELECT number, email, state, paid_at FROM orders WHERE number = $1'

  const fold = (email) => String(email).trim().normalize('NFC').toLowerCase()
  const claimOf = (id) => id.slice(0, id.lastIndexOf(':'))

  const webhook = conversionWebhook(
    {
      async onSuccess({ orderId, referrer: { email } }, { id, commit }) {
        await commit(async (client) => {
          const { rowCount } = await client.query(
            `INSERT INTO rewards (order_number, kind, claim, email, cents)
             SELECT number, 'reward', $1, $2, total_cents / 10 FROM orders WHERE number = $3 AND state = 'paid'`,
            [claimOf(id), email, orderId],
          )
          if (rowCount !== 1) throw new Error('the order is not paid')
        })
        console.log(`process ${process.pid} rewarded ${email} for ${orderId}`)
      },
      async onFail(_conversion, { id, previous, commit }) {
        if (previous?.status !== 'success') return // nothing was booked
        const sql = `INSERT INTO rewards (order_number, kind, claim, email, cents)
                     SELECT order_number, kind || ' back', claim, email, -cents FROM rewards
                     WHERE claim = $1 AND cents > 0
                     ON CONFLICT DO NOTHING`
        await commit((client) => client.query(sql, [claimOf(id)]))
      },
    },
    {
      secret,
      inbox: postgresInbox({ connectionString }),
      async confirm({ orderId, referrer, referee }) {
        if (!orderId || !referrer.email || !referee.email) return false
        const order = (await shop.query(find, [orderId])).rows[0]
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
  const server = app.listen(0, '127.0.0.1', () => {
    process.send(`process ${process.pid} receives at http://localhost:${server.address().port}/webhook/${secret}`)
  })
  process.once('disconnect', () => {
    server.prependListener('request', (_req, res) => {
      res.shouldKeepAlive = false // or a client that keeps sending requests would keep the server open
    })
    server.close(() => void webhook.close().then(() => shop.end()))
    setTimeout(() => server.closeAllConnections(), 2_000).unref() // nor may a client that never finishes its request
  })
}

async function startBoth() {
  const { startPostgres } = await import('../scripts/postgres.mjs')
  const postgres = process.env.DATABASE_URL ? undefined : await startPostgres()
  const url = process.env.DATABASE_URL ?? postgres.url
  const { default: pg } = await import('pg')
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query(`
    CREATE TABLE IF NOT EXISTS orders (
      number text PRIMARY KEY, email text NOT NULL, state text NOT NULL, paid_at timestamptz, total_cents integer NOT NULL
    );
    CREATE TABLE IF NOT EXISTS rewards (
      order_number text NOT NULL, kind text NOT NULL, claim text NOT NULL, email text NOT NULL, cents integer NOT NULL,
      PRIMARY KEY (order_number, kind)
    );
    -- An order of a referee, past its refund window.
    INSERT INTO orders VALUES ('7001', 'friend@shop.example', 'paid', now() - interval '40 days', 12000)
    ON CONFLICT DO NOTHING;
  `)
  await client.end()

  // Both processes have the same secret: a new one at each start unless the variable is set.
  const secret = process.env.CONVERSION_WEBHOOK_SECRET ?? randomBytes(24).toString('base64url')
  const env = { ...process.env, DATABASE_URL: url, CONVERSION_WEBHOOK_SECRET: secret }
  const children = [1, 2].map(() => fork(fileURLToPath(import.meta.url), { env }))
  for (const child of children) console.log((await once(child, 'message'))[0])
  console.log('Ctrl-C ends both.')

  let isEnding = false
  const end = async () => {
    if (isEnding) return
    isEnding = true
    await Promise.all(
      children.map(async (child) => {
        if (child.connected) child.disconnect()
        if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
      }),
    )
    await postgres?.stop()
    console.log('closed')
  }
  process.on('SIGINT', end).on('SIGTERM', end)
}
