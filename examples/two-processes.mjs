/*
 * Two Express processes on one PostgreSQL: send a callback to either, and either delivers it, once. Brings its own server, or takes
 * yours: DATABASE_URL=postgres://… node examples/two-processes.mjs
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

  const secret = process.env.CONVERSION_WEBHOOK_SECRET
  const webhook = conversionWebhook(
    {
      async onSuccess({ orderId, referrer }, { id, commit }) {
        await commit(async (client) => {
          await client.query('INSERT INTO rewards (id, email) VALUES ($1, $2)', [id, referrer.email])
        })
        console.log(`process ${process.pid} rewarded ${referrer.email} for ${orderId}`)
      },
    },
    {
      secret,
      inbox: postgresInbox({ connectionString: process.env.DATABASE_URL }),
    },
  )
  const app = express()
  app.use('/webhook', webhook)
  const server = app.listen(0, '127.0.0.1', () => {
    process.send(`process ${process.pid} receives at http://localhost:${server.address().port}/webhook/${secret}`)
  })
  process.once('disconnect', () => {
    server.close(() => void webhook.close())
    server.closeIdleConnections()
  })
}

async function startBoth() {
  const { startPostgres } = await import('../scripts/postgres.mjs')
  const postgres = process.env.DATABASE_URL ? undefined : await startPostgres()
  const url = process.env.DATABASE_URL ?? postgres.url
  const { default: pg } = await import('pg')
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query('CREATE TABLE IF NOT EXISTS rewards (id text PRIMARY KEY, email text)')
  await client.end()

  // One secret for both; without the variable a new one at each start.
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
