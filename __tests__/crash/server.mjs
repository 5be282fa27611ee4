/*
 * A shop that is going to be killed: `node server.mjs '{"inbox":"sqlite","file":…}'`. Its success handler makes its effect through
 * `commit`, its goalComplete handler by a line in a file, which outlives the process like any call to another service.
 */
import { appendFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import express from 'express'
import { conversionWebhook } from 'conversion-webhook'

const { inbox: kind, file, url, log } = JSON.parse(process.argv[2])

async function makeInbox() {
  if (kind === 'sqlite') return (await import('conversion-webhook/sqlite')).sqliteInbox(file)
  return (await import('conversion-webhook/postgres')).postgresInbox({ connectionString: url })
}

async function reward({ orderId }, { commit, attempt }) {
  await wait(Math.random() * 3)
  if (kind === 'sqlite') {
    await commit((db) => {
      db.prepare('INSERT INTO rewards (orderId, attempt) VALUES (?, ?)').run(orderId, attempt)
    })
  } else {
    await commit((client) => client.query('INSERT INTO rewards VALUES ($1, $2)', [orderId, attempt]))
  }
}

async function announce({ orderId }) {
  appendFileSync(log, `${process.pid} starts ${orderId}\n`)
  await wait(Math.random() * 3)
  appendFileSync(log, `${process.pid} did ${orderId}\n`)
}

const app = express()
app.use(
  '/webhook',
  conversionWebhook(
    { onSuccess: reward, onGoalComplete: announce, onError: ({ error }) => process.send?.({ error: String(error) }) },
    { secret: false, inbox: await makeInbox() },
  ),
)
const server = app.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }))
process.once('disconnect', () => process.exit(1))
