/*
 * A shop that is going to be killed: `node server.mjs '{"inbox":"sqlite","file":…}'`. Its success handler makes its effect through
 * `commit`, its goalComplete handler by a line in a file, which outlives the process like any call to another service.
 */
import { appendFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import express from 'express'
import { conversionWebhook } from 'conversion-webhook'

const { inbox: kind, file, url, library = 'pg', log } = JSON.parse(process.argv[2])

async function makeInbox() {
  if (kind === 'sqlite') return (await import('conversion-webhook/sqlite')).sqliteInbox(file)
  return (await import('conversion-webhook/postgres')).postgresInbox({ connectionString: url })
}

/** The effect in a transaction of the library's own, which is part of ours. */
const inserts = {
  pg: () => (client, row) => client.query('INSERT INTO rewards VALUES ($1, $2)', row),
  async drizzle() {
    const { sql } = await import('drizzle-orm')
    const { drizzle } = await import('drizzle-orm/node-postgres')
    return (client, [orderId, attempt]) =>
      drizzle(client).transaction((tx) => tx.execute(sql`INSERT INTO rewards VALUES (${orderId}, ${attempt})`))
  },
  async kysely() {
    const { Kysely, PostgresDialect } = await import('kysely')
    return (client, [orderid, attempt]) =>
      new Kysely({ dialect: new PostgresDialect({ pool: client }) })
        .transaction()
        .execute((tx) => tx.insertInto('rewards').values({ orderid, attempt }).execute())
  },
  async knex() {
    const { default: makeKnex } = await import('knex')
    const knex = makeKnex({ client: 'pg' })
    return (client, [orderid, attempt]) =>
      knex.transaction((trx) => trx('rewards').insert({ orderid, attempt }), { connection: client })
  },
}
const insert = kind === 'postgres' ? await inserts[library]() : undefined

async function reward({ orderId }, { commit, attempt }) {
  await wait(Math.random() * 3)
  if (kind === 'sqlite') {
    await commit((db) => {
      db.prepare('INSERT INTO rewards (orderId, attempt) VALUES (?, ?)').run(orderId, attempt)
    })
  } else {
    await commit((client) => insert(client, [orderId, attempt]))
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
