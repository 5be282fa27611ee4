// The types of the durable inboxes: a handler has `commit`, with the client of its inbox.
import type { DatabaseSync } from 'node:sqlite'
import { expectTypeOf } from 'expect-type'
import { conversionWebhook, memoryInbox, type Inbox, type InboxRow } from 'conversion-webhook'
import { postgresInbox, type PostgresClient, type PostgresCommit } from 'conversion-webhook/postgres'
import { sqliteInbox, type SqliteCommit } from 'conversion-webhook/sqlite'

const inbox = sqliteInbox('conversions.db')
expectTypeOf(inbox).toEqualTypeOf<Inbox<SqliteCommit>>()
const webhook = conversionWebhook(
  {
    async onSuccess(conversion, { id, commit }) {
      expectTypeOf(commit).toEqualTypeOf<SqliteCommit>()
      const value = await commit((db) => {
        expectTypeOf(db).toEqualTypeOf<DatabaseSync>()
        db.prepare('INSERT INTO rewards VALUES (?, ?)').run(id, conversion.orderId ?? '')
        return 7
      })
      expectTypeOf(value).toEqualTypeOf<number>()
      // @ts-expect-error a promise cannot be part of a SQLite transaction
      await commit(async (db) => db.exec(''))
      // @ts-expect-error nor can a promise that the function returns
      await commit(() => Promise.resolve(1))
    },
  },
  { inbox },
)
webhook.on('goalComplete', async (_conversion, { commit }) => {
  await commit((db) => db.exec(''))
})

conversionWebhook(
  {
    async onSuccess(_conversion, { commit }) {
      expectTypeOf(commit).toEqualTypeOf<PostgresCommit>()
      const rows = await commit(async (client) => {
        expectTypeOf(client).not.toBeAny()
        expectTypeOf(client).toEqualTypeOf<PostgresClient>()
        expectTypeOf((await client.query<{ n: number }>('SELECT 1 AS n')).rows).toEqualTypeOf<{ n: number }[]>()
        return (await client.query('SELECT 1')).rows
      })
      expectTypeOf(rows).toEqualTypeOf<Record<string, unknown>[]>()
    },
  },
  { inbox: postgresInbox({ connectionString: 'postgres://localhost/shop' }) },
)

// @ts-expect-error handlers for one inbox do not fit another
conversionWebhook({ onSuccess: (_conversion, { commit }) => commit(() => 1) }, { inbox: memoryInbox() })
// @ts-expect-error the file must be a path
sqliteInbox(7)

async function operate(): Promise<void> {
  const rows = await inbox.list({ state: 'dead', limit: 10 })
  expectTypeOf(rows).toEqualTypeOf<readonly InboxRow[]>()
  // @ts-expect-error no such state
  await inbox.list({ state: 'lost' })
  expectTypeOf(await inbox.erase({ email: 'a@example.com' })).toEqualTypeOf<{
    readonly erased: number
    readonly waiting: readonly string[]
  }>()
}
void operate
