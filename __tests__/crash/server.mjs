/*
 * The server of a crash run: `node server.mjs '{"inbox":"sqlite","file":…}'`. Its success handler pays through `commit`. Its goalComplete
 * handler appends a line to a file, which survives the process like a call to another service. No constraint of its table prevents two paid
 * claims for one order. With `dieAt` the server kills itself when it first reaches that step of `deaths.mjs`.
 */
import { appendFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import express from 'express'
import { conversionWebhook } from 'conversion-webhook'
import { Death } from './deaths.mjs'
import { openInbox } from './inboxes.mjs'
import { operateOn } from './operating.mjs'
import { shops } from './shop.mjs'

const options = JSON.parse(process.argv[2])
const { inbox: kind, library = 'pg', log, shop = 'none', dieAt } = options
const { confirm, numberOf } = shops[shop]
const death = new Death(dieAt)

/** Writes the effect in a transaction of the library, nested in the transaction of `commit`. */
const inserts = {
  pg: () => (client, row) => client.query('INSERT INTO rewards VALUES ($1, $2, $3)', Object.values(row)),
  async drizzle() {
    const { sql } = await import('drizzle-orm')
    const { drizzle } = await import('drizzle-orm/node-postgres')
    return (client, { number, claim, referrer }) =>
      drizzle(client).transaction((tx) =>
        tx.execute(sql`INSERT INTO rewards VALUES (${number}, ${claim}, ${referrer})`),
      )
  },
  async kysely() {
    const { Kysely, PostgresDialect } = await import('kysely')
    return (client, row) =>
      new Kysely({ dialect: new PostgresDialect({ pool: client }) })
        .transaction()
        .execute((tx) => tx.insertInto('rewards').values(row).execute())
  },
  async knex() {
    const { default: makeKnex } = await import('knex')
    const knex = makeKnex({ client: 'pg' })
    return (client, row) => knex.transaction((trx) => trx('rewards').insert(row), { connection: client })
  },
}
const insertOnSqlite = (db, row) => db.prepare('INSERT INTO rewards VALUES (?, ?, ?)').run(...Object.values(row))
const insert = kind === 'postgres' ? await inserts[library]() : insertOnSqlite

function ask(conversion) {
  const answer = confirm(conversion)
  if (answer) death.step('confirmed')
  return answer
}

const claimOf = (id) => id.replace(/:.*/, '')

async function reward({ orderId, referrer }, { id, commit }) {
  const row = { number: numberOf(orderId), claim: claimOf(id), referrer: referrer.email ?? '' }
  await wait(Math.random() * 3)
  death.step('handling')
  if (kind === 'sqlite') {
    await commit((db) => {
      insert(db, row)
      death.step('inserted')
    })
  } else {
    await commit(async (client) => {
      await insert(client, row)
      death.step('inserted')
    })
  }
}

async function announce({ orderId }, { id }) {
  const what = `${numberOf(orderId)} ${claimOf(id)}`
  appendFileSync(log, `${process.pid} starts ${what}\n`)
  await wait(Math.random() * 3)
  appendFileSync(log, `${process.pid} did ${what}\n`)
  death.step('announced')
}

const inbox = await openInbox(options, death)
operateOn(inbox)

const app = express()
app.use(
  '/webhook',
  conversionWebhook(
    { onSuccess: reward, onGoalComplete: announce, onError: ({ error }) => process.send?.({ error: String(error) }) },
    { secret: false, inbox, ...(confirm && { confirm: ask }) },
  ),
)
const server = app.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }))
process.once('disconnect', () => process.exit(1))
