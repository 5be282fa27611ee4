// The types of `postgresInbox` beside those of pg: the client of `commit` fits every library that takes a client or a pool.
import { drizzle } from 'drizzle-orm/node-postgres'
import { pgTable, text } from 'drizzle-orm/pg-core'
import { expectTypeOf } from 'expect-type'
import makeKnex from 'knex'
import { Kysely, PostgresDialect } from 'kysely'
import { Pool, type PoolClient, type QueryResult } from 'pg'
import { conversionWebhook } from 'conversion-webhook'
import { postgresInbox, type PostgresClient } from 'conversion-webhook/postgres'

const rewards = pgTable('rewards', { id: text('id').primaryKey() })
const knex = makeKnex({ client: 'pg' })
const takesPg = (client: PoolClient) => client

conversionWebhook(
  {
    async onSuccess(_conversion, { id, commit }) {
      const found = await commit(async (client) => {
        expectTypeOf(client).not.toBeAny()
        expectTypeOf(client).toEqualTypeOf<PostgresClient>()
        takesPg(client)
        await drizzle(client).transaction((tx) => tx.insert(rewards).values({ id }))
        const db = new Kysely<{ rewards: { id: string } }>({ dialect: new PostgresDialect({ pool: client }) })
        await db.transaction().execute((tx) => tx.insertInto('rewards').values({ id }).execute())
        await knex.transaction((trx) => trx('rewards').insert({ id }), { connection: client })
        expectTypeOf(await client.connect()).toEqualTypeOf<PostgresClient>()
        // @ts-expect-error no such method
        client.nonsense()
        return client.query<{ id: string }>('SELECT id FROM rewards WHERE id = $1', [id])
      })
      expectTypeOf(found).toEqualTypeOf<QueryResult<{ id: string }>>()
    },
  },
  { inbox: postgresInbox({ pool: new Pool() }) },
)
