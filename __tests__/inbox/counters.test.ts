import { Client } from 'pg'
import { conversionWebhook, type Inbox } from '../../lib/index.js'
import { DurableInbox } from '../../lib/inbox/durable-inbox.js'
import { maxAgeMs } from '../../lib/inbox/quarantine.js'
import { openPostgres, requireDrivers } from '../../lib/inbox/stores/postgres-open.js'
import { PostgresStore } from '../../lib/inbox/stores/postgres.js'
import { machineClocks } from '../../lib/inbox/stores/sqlite-clock.js'
import { openSqlite } from '../../lib/inbox/stores/sqlite-open.js'
import { SqliteStore } from '../../lib/inbox/stores/sqlite.js'
import { settled } from '../contract/inboxes.js'
import { params } from '../support/callbacks.js'
import { counted, type Ask } from '../support/counted.js'
import { hasPostgres, startServer, type Server } from '../support/postgres.js'
import { numbered } from '../support/refused.js'
import { hasSqlite, openFile, temporaryFolder } from '../support/sqlite.js'

/* After every kind of change the counters are equal to a count over the rows. */

const budget = { rows: 200, bytes: 1_048_576 }

async function live(inbox: Inbox, ask: Ask): Promise<void> {
  const expectCounted = async () => {
    const { says, is } = await counted(inbox, ask)
    expect(says).toEqual(is)
  }
  const onSuccess = ({ orderId = '' }) => {
    if (orderId.startsWith('fails')) throw new Error('a handler that fails')
  }
  const webhook = conversionWebhook(
    { onSuccess, onFail: () => undefined, onError: () => undefined, onDead: () => undefined },
    {
      secret: false,
      inbox,
      maxAttempts: 1,
      confirm: ({ orderId = '' }) => (orderId.startsWith('held') ? 'hold' : !orderId.startsWith('refused')),
    },
  )
  try {
    const orders = ['fails 1', 'fails 2', 'held 1', 'refused 1', 'A', 'B', 'C']
    for (const orderID of orders) await webhook.accept(params({ orderID, goal_complete: '0' }))
    await webhook.accept(params({ orderID: 'A', purchaseValue: '7', goal_complete: '0' })) // a conflict
    await webhook.accept(params({ orderID: 'B', conversion: 'fail', goal_complete: '0' }))
    await webhook.accept(params({ orderID: 'held 1', conversion: 'fail', goal_complete: '0' }))
    await settled(inbox)
    await expectCounted()

    const old = numbered(1, { receivedAt: Date.now() - maxAgeMs - 1_000 })
    await inbox.quarantine(old)
    await inbox.quarantine(old) // replaces the row, which is too old
    for (let from = 0; from < 300; from += 50) {
      await Promise.all(Array.from({ length: 50 }, (_each, index) => inbox.quarantine(numbered(from + index))))
    }
    await expectCounted()
    expect((await inbox.list({ limit: 1_000 })).length).toBeGreaterThan(190)

    for (const row of await inbox.list({ state: 'dead' })) await inbox.replay(row.id)
    for (const row of await inbox.list({ state: 'conflict' })) await inbox.replay(row.id)
    await settled(inbox)
    await inbox.prune({ olderThanDays: 0 })
    await expectCounted()
    await webhook.accept(`conversion=nonsense&referrer_email=${params().referrer_email ?? ''}`)
    await inbox.erase({ email: params().referrer_email ?? '' })
    await expectCounted()
  } finally {
    await webhook.close()
  }
}

const describeSqlite = hasSqlite ? describe : describe.skip
const describePostgres = hasPostgres ? describe : describe.skip

describeSqlite('SQLite', () => {
  const folder = temporaryFolder()
  afterEach(() => {
    folder.remove()
  })

  test('counts what is there', async () => {
    const file = folder.file('inbox.db')
    const inbox = new DurableInbox(new SqliteStore(openSqlite(file), machineClocks, budget))
    await live(inbox, (sql) => {
      const db = openFile(file)
      const rows = db.prepare(sql('conversion_webhook_')).all()
      db.close()
      return Promise.resolve(rows)
    })
  })
})

describePostgres('PostgreSQL', () => {
  let server: Server
  beforeAll(async () => {
    server = await startServer()
  })
  afterAll(() => server.stop())

  test('counts what is there', async () => {
    const schema = 'conversion_webhook'
    const open = (quarantineBudget: typeof budget, closing: AbortSignal) => {
      const options = { connectionString: server.url, schema, quarantineBudget, onError: () => undefined }
      return openPostgres(requireDrivers(), options, closing)
    }
    const client = new Client({ connectionString: server.url })
    await client.connect()
    try {
      await live(new DurableInbox(new PostgresStore(open, budget)), async (sql) => {
        return (await client.query<Record<string, unknown>>(sql(`${schema}.`))).rows
      })
    } finally {
      await client.end()
    }
  })
})
