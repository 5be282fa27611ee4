import { sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import { pgTable, text } from 'drizzle-orm/pg-core'
import makeKnex, { type Knex } from 'knex'
import type * as KyselyModule from 'kysely'
import type { PostgresClient } from '../../lib/postgres.js'

/* How a shop uses the client of `commit` with each library: it writes rows into a table with the column `id`. */

interface Rewards {
  readonly insert: (id: string) => Promise<unknown>
  /** A statement that fails. */
  readonly fail: () => Promise<unknown>
}

interface Library {
  readonly rewards: Rewards
  readonly transaction: (body: (rewards: Rewards) => Promise<void>) => Promise<unknown>
  /** Two nested transactions: `outer` writes its row, then runs `inner`. */
  readonly nested: (first: string, inner: (rewards: Rewards) => Promise<void>) => Promise<unknown>
}

type Bind = (client: PostgresClient, table: string) => Library

function pg(client: PostgresClient, table: string): Library {
  const rewards: Rewards = {
    insert: (id) => client.query(`INSERT INTO ${table} (id) VALUES ($1)`, [id]),
    fail: () => client.query('SELECT 1 / 0'),
  }
  async function transaction(body: (rewards: Rewards) => Promise<void>): Promise<void> {
    await client.query('BEGIN')
    try {
      await body(rewards)
      await client.query('COMMIT')
    } catch (error) {
      await client.query('ROLLBACK')
      throw error
    }
  }
  return {
    rewards,
    transaction,
    nested: (first, inner) =>
      transaction(async () => {
        await rewards.insert(first)
        await transaction(inner)
      }),
  }
}

function drizzleOn(client: PostgresClient, name: string): Library {
  const table = pgTable(name, { id: text('id') })
  const db = drizzle(client)
  const rewardsOf = (tx: Pick<typeof db, 'insert' | 'execute'>): Rewards => ({
    insert: (id) => tx.insert(table).values({ id }),
    fail: () => tx.execute(sql`SELECT 1 / 0`),
  })
  return {
    rewards: rewardsOf(db),
    transaction: (body) => db.transaction((tx) => body(rewardsOf(tx))),
    nested: (first, inner) =>
      db.transaction(async (tx) => {
        await rewardsOf(tx).insert(first)
        await tx.transaction((nested) => inner(rewardsOf(nested)))
      }),
  }
}

function kysely(client: PostgresClient, name: string): Library {
  // Not at the top: this is an ES module, which some Node versions cannot require.
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  const { Kysely, PostgresDialect, sql } = require('kysely') as typeof KyselyModule
  const db = new Kysely<Record<string, { id: string }>>({ dialect: new PostgresDialect({ pool: client }) })
  const rewardsOf = (on: typeof db): Rewards => ({
    insert: (id) => on.insertInto(name).values({ id }).execute(),
    fail: () => sql`SELECT 1 / 0`.execute(on),
  })
  const transaction = (body: (rewards: Rewards) => Promise<void>) =>
    db.transaction().execute((tx) => body(rewardsOf(tx)))
  return {
    rewards: rewardsOf(db),
    transaction,
    // Uses the database instead of the outer transaction, as code does that does not pass its transaction on.
    nested: (first, inner) =>
      transaction(async (outer) => {
        await outer.insert(first)
        await transaction(inner)
      }),
  }
}

type Bound = (query: Knex.Raw | Knex.QueryBuilder) => Knex.Raw | Knex.QueryBuilder

function knexOf(knex: Knex, name: string, config: Knex.TransactionConfig, bind: Bound): Library {
  const rewardsOf = (on: Knex, bound: Bound = (query) => query): Rewards => ({
    insert: async (id) => (await bound(on(name).insert({ id }))) as unknown,
    fail: async () => (await bound(on.raw('SELECT 1 / 0'))) as unknown,
  })
  return {
    rewards: rewardsOf(knex, bind),
    transaction: (body) => knex.transaction((trx) => body(rewardsOf(trx)), config),
    nested: (first, inner) =>
      knex.transaction(async (trx) => {
        await rewardsOf(trx).insert(first)
        await trx.transaction((nested) => inner(rewardsOf(nested)))
      }, config),
  }
}

export const libraries: readonly (readonly [string, Bind])[] = [
  ['pg', pg],
  ['Drizzle', drizzleOn],
  ['Kysely', kysely],
  [
    'Knex on the client',
    (client, table) =>
      knexOf(makeKnex({ client: 'pg' }), table, { connection: client }, (query) => query.connection(client)),
  ],
  [
    'Knex with the client as its pool',
    (client, table) => knexOf(makeKnex({ client: 'pg', connectionPool: client as never }), table, {}, (query) => query),
  ],
]
