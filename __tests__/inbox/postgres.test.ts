import { Client, Pool } from 'pg'
import { conversionWebhook, type Conversion, type ConversionContext, type Inbox } from '../../lib/index.js'
import { postgresInbox, type PostgresCommit, type PostgresPool } from '../../lib/postgres.js'
import { durableBudget } from '../../lib/inbox/quarantine.js'
import { lockKey } from '../../lib/inbox/stores/postgres-sql.js'
import { openPostgres, requireDrivers } from '../../lib/inbox/stores/postgres-open.js'
import { PostgresStore } from '../../lib/inbox/stores/postgres.js'
import { atRest, eventually, settled } from '../contract/inboxes.js'
import { params } from '../support/callbacks.js'
import { callbackOf, recordOf } from '../support/ledger.js'
import { hasPostgres, startServer, type Server } from '../support/postgres.js'
import { deferred } from '../support/recorder.js'

/* What only PostgreSQL has: pools, connections that fail, and jobs that are lost. */

const describePostgres = hasPostgres ? describe : describe.skip

let server: Server
let client: Client
let closing: (() => unknown)[] = []
let schemas = 0

describePostgres('postgresInbox', () => {
  beforeAll(async () => {
    server = await startServer()
    client = new Client({ connectionString: server.url })
    await client.connect()
  })
  afterEach(async () => {
    for (const close of closing.reverse()) await close()
    closing = []
  })
  afterAll(async () => {
    await client.end()
    await server.stop()
  })

  function start(options: object = {}, handlers: object = { onSuccess: () => undefined }, more: object = {}) {
    const schema = `own_${String(++schemas)}`
    const inbox = postgresInbox({ connectionString: server.url, schema, ...options }) as Inbox
    const webhook = conversionWebhook({ onError: () => undefined, ...handlers }, { secret: false, inbox, ...more })
    closing.push(() => webhook.close())
    const report = (orderID: string) => webhook.accept(params({ conversion: 'success', orderID, goal_complete: '0' }))
    return { schema, inbox, webhook, report }
  }

  test.each([
    [{}, 'either a connectionString or a pool'],
    [{ connectionString: 'postgres://x', pool: {} }, 'either a connectionString or a pool'],
    [{ connectionString: 7 }, 'connectionString must be a text'],
    [{ connectionString: 'postgres://x', schema: 'Drop table;' }, 'schema must be a name'],
  ])('refuses %j', (options, message) => {
    expect(() => postgresInbox(options as never)).toThrow(message)
  })

  test('works on a pool of the app, which stays open', async () => {
    const pool = new Pool({ connectionString: server.url, max: 4 })
    const { report, inbox, webhook } = start({ connectionString: undefined, pool: pool as unknown as PostgresPool })
    await report('A')
    await settled(inbox)
    expect((await inbox.stats()).deliveries.done).toBe(1)
    await webhook.close()
    expect((await pool.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
    await pool.end()
  })

  test('a pool that gives no connection is a 503, and the next callback is recorded', async () => {
    const pool = new Pool({ connectionString: server.url, max: 2 })
    closing.push(() => pool.end())
    const { report, inbox } = start({ connectionString: undefined, pool: pool as unknown as PostgresPool }, {})
    await report('A')
    const taken = [await pool.connect(), await pool.connect()]
    await expect(report('B')).rejects.toMatchObject({ code: 'ERR_CONVERSION_INBOX_UNAVAILABLE', status: 503 })
    for (const each of taken) each.release()
    expect(await report('C')).toMatchObject({ outcome: 'accepted' })
    expect((await inbox.stats()).callbacks.accepted).toBe(2)
  })

  test('a database that cannot be reached is a 503', async () => {
    const { report, inbox } = start({ connectionString: 'postgres://postgres@127.0.0.1:1/postgres' })
    const unavailable = { code: 'ERR_CONVERSION_INBOX_UNAVAILABLE', status: 503, headers: { 'Retry-After': '60' } }
    await expect(report('A')).rejects.toMatchObject(unavailable)
    await expect(inbox.stats()).rejects.toMatchObject({ code: 'ERR_CONVERSION_INBOX_UNAVAILABLE' })
  })

  test('tables of a later version are refused', async () => {
    const { report, schema, webhook } = start()
    await report('A')
    await webhook.close()
    await client.query(`UPDATE ${schema}.migrations SET version = 99`)
    const again = start({ schema })
    await expect(again.report('B')).rejects.toMatchObject({
      code: 'ERR_CONVERSION_INBOX_UNAVAILABLE',
      status: 503,
      cause: { code: 'ERR_CONVERSION_INBOX_NEWER' },
    })
    await expect(again.inbox.stats()).rejects.toMatchObject({ code: 'ERR_CONVERSION_INBOX_NEWER' })
  })

  test('a claim that somebody has removed is not paid again by what is left of it, whatever shares its transaction', async () => {
    const paid: unknown[] = []
    const { schema, report, inbox } = start({}, { onSuccess: ({ orderId }: Conversion) => void paid.push(orderId) })
    await Promise.all([report('A'), report('B')])
    await settled(inbox)
    await client.query(
      `DELETE FROM ${schema}.claims WHERE id IN (SELECT claim FROM ${schema}.deliveries WHERE order_id = 'A')`,
    )
    for (const neighbours of [[], ['C'], ['B'], ['B', 'D']]) {
      const [removed, ...others] = await Promise.allSettled(['A', ...neighbours].map(report))
      expect(removed).toMatchObject({ status: 'rejected', reason: { code: 'ERR_CONVERSION_INBOX_UNAVAILABLE' } })
      for (const other of others) expect(other.status).toBe('fulfilled')
    }
    await settled(inbox)
    expect(paid.sort()).toEqual(['A', 'B', 'C', 'D'])
  })

  test('a connection that the server ends is replaced', async () => {
    const { report, inbox } = start()
    await report('A')
    await settled(inbox)
    await client.query(
      'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()',
    )
    await eventually(
      () =>
        report('B').then(
          () => true,
          () => false,
        ),
      (isRecorded) => isRecorded,
    )
    await settled(inbox)
    expect((await inbox.stats()).deliveries).toMatchObject({ done: 2 })
  }, 60_000) // a job whose connection is lost is fetched again when its lease has ended

  test('close ends a commit whose function never ends: rolls back, frees the connection, and disables the client', async () => {
    const pool = new Pool({ connectionString: server.url, max: 4 })
    await client.query('CREATE TABLE IF NOT EXISTS effects (key text)')
    const stuck = deferred()
    const results = deferred<unknown>()
    let late: (() => Promise<unknown>) | undefined
    const { report, webhook } = start(
      { connectionString: undefined, pool: pool as unknown as PostgresPool },
      {
        onError: () => stuck.resolve(),
        onSuccess: (_conversion: unknown, { commit }: ConversionContext<PostgresCommit>) => {
          const result = commit(async (tx) => {
            late = () => tx.query("INSERT INTO effects VALUES ('stuck')")
            await late()
            await new Promise(() => undefined)
          })
          result.then(results.resolve, results.resolve)
          return result
        },
      },
      { handlerTimeoutMs: 20, closeTimeoutMs: 20 },
    )
    await report('A')
    await stuck.promise
    await webhook.close()
    expect(await results.promise).toMatchObject({ code: 'ERR_CONVERSION_INBOX_CLOSED' })
    await expect(late?.()).rejects.toMatchObject({ code: 'ERR_CONVERSION_COMMIT_INVALID' })
    await pool.end() // waits until all connections are released
    expect((await client.query('SELECT * FROM effects')).rows).toEqual([])
  })

  test('close ends its own connections though a function of commit never ends', async () => {
    const asked = deferred()
    const { report, webhook } = start(
      {},
      {
        onSuccess: (_conversion: unknown, { commit }: ConversionContext<PostgresCommit>) =>
          commit(async (tx) => {
            asked.resolve()
            await tx.query('SELECT pg_sleep(3600)')
          }),
      },
      { closeTimeoutMs: 20 },
    )
    await report('A')
    await asked.promise
    await webhook.close()
  })

  test('a change of a claim waits for the lock of the order that confirm named for it', async () => {
    const options = {
      connectionString: server.url,
      schema: 'locks',
      quarantineBudget: durableBudget,
      onError: () => undefined,
    }
    const store = new PostgresStore((_budget, closing) => openPostgres(requireDrivers(), options, closing))
    closing.push(() => store.close())
    const record = { ...recordOf(callbackOf('success')), order: 'f'.repeat(40) }
    await store.change({ apply: () => ({ record, reserved: [record.order], result: undefined }) })
    await client.query('BEGIN')
    await client.query('SELECT pg_advisory_xact_lock($1)', [lockKey(record.order)])
    let isFound = false
    const found = store.change({
      claim: record.id,
      apply: ({ holders }) => {
        isFound = true
        return { result: holders.get(record.order)?.claim }
      },
    })
    await eventually(
      () => client.query("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"),
      ({ rows }) => rows.length > 0,
    )
    expect(isFound).toBe(false)
    await client.query('COMMIT')
    expect(await found).toBe(record.id)
  })

  test('erase leaves the address in no table', async () => {
    const { report, inbox, schema, webhook } = start(
      {},
      {
        onSuccess: ({ orderId }: { orderId: string }) => {
          if (orderId === 'B') throw new Error('no account of example@gmail.com')
        },
      },
      { maxAttempts: 1 },
    )
    await report('A')
    await report('B')
    await report('example@gmail.com')
    await webhook.accept('conversion=nonsense&referee_email=example@gmail.com')
    await settled(inbox)
    const mentions = async () => {
      const { rows } = await client.query<{ name: string }>(
        `SELECT format('%I.%I', table_schema, table_name) AS name FROM information_schema.tables WHERE table_schema = $1 AND table_type = 'BASE TABLE'`,
        [schema],
      )
      const found: string[] = []
      for (const { name } of rows) {
        const { rowCount } = await client.query(`SELECT 1 FROM ${name} t WHERE t::text LIKE '%example@gmail.com%'`)
        if (rowCount) found.push(name)
      }
      return found
    }
    expect((await mentions()).length).toBeGreaterThanOrEqual(3)
    expect(await inbox.erase({ email: 'example@gmail.com' })).toEqual({ erased: 4, waiting: [] })
    expect(await mentions()).toEqual([])
  })

  test('deliveries whose jobs were removed get new jobs, also those that are recorded as running', async () => {
    const first = start({}, {})
    const { id } = await first.report('A')
    await first.report('B')
    await client.query(`DELETE FROM ${first.schema}.job`)
    await client.query(`UPDATE ${first.schema}.deliveries SET received_at = received_at - 60000`)
    await client.query(
      `UPDATE ${first.schema}.deliveries SET state = 'running', attempts = 1, owner = '00000000-0000-4000-8000-000000000000:0' WHERE claim = $1`,
      [id],
    )
    const told: string[] = []
    const second = start(
      { schema: first.schema },
      { onSuccess: ({ orderId }: { orderId: string }) => told.push(orderId) },
    )
    await atRest(second.inbox)
    expect(told.sort()).toEqual(['A', 'B'])
    expect((await second.inbox.get(`${id}:success`))?.history.map(({ what }) => what)).toContain('lapsed')
  })
})
