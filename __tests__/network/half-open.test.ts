import { Client, Pool } from 'pg'
import {
  conversionWebhook,
  isConversionWebhookError,
  type ConversionContext,
  type ConversionWebhookOptions,
} from '../../lib/index.js'
import { postgresInbox, type PostgresClient, type PostgresCommit, type PostgresPool } from '../../lib/postgres.js'
import { eventually, settled } from '../contract/inboxes.js'
import { params } from '../support/callbacks.js'
import { hasPostgres, startServer, type Server } from '../support/postgres.js'
import { startProxy, type Proxy } from '../support/proxy.js'
import { deferred } from '../support/recorder.js'

/* A half-open network: packets of existing connections are dropped silently, and new connections work. `npm run test:network` runs for longer. */

const describePostgres = hasPostgres ? describe : describe.skip

let server: Server
let client: Client
let proxy: Proxy
let schemas = 0
const closing: (() => unknown)[] = []

type Context = ConversionContext<PostgresCommit>

describePostgres('a half-open network', () => {
  beforeAll(async () => {
    server = await startServer()
    client = new Client({ connectionString: server.url })
    await client.connect()
    await client.query('CREATE TABLE rewards (order_id text PRIMARY KEY)')
  })
  beforeEach(async () => {
    proxy = await startProxy(server.url)
  })
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close()
    await proxy.close()
    await client.query('TRUNCATE rewards')
  })
  afterAll(async () => {
    await client.end()
    await server.stop()
  })

  function start(
    handle: (orderId: string, context: Context) => unknown = () => undefined,
    { pool, ...options }: Pick<ConversionWebhookOptions, 'closeTimeoutMs'> & { pool?: Pool | undefined } = {},
  ) {
    const schema = `network_${String(++schemas)}`
    const source = pool ? { pool: pool as unknown as PostgresPool } : { connectionString: proxy.url }
    const inbox = postgresInbox({ ...source, schema })
    const told: string[] = []
    const failed = deferred<unknown>()
    const handlers = {
      onSuccess: async ({ orderId = '' }, context: Context) => {
        await handle(orderId, context)
        told.push(orderId)
      },
      onError: ({ error }: { error: unknown }) => {
        failed.resolve(error)
      },
    }
    const webhook = conversionWebhook(handlers, { secret: false, inbox, ...options })
    closing.push(() => webhook.close())
    const report = (orderID: string) =>
      webhook.accept(params({ conversion: 'success', orderID, goal_complete: '0' })).then(
        ({ outcome }) => outcome,
        (error: unknown) => (isConversionWebhookError(error) ? error.code : 'another'),
      )
    return { inbox, webhook, report, told, failed: failed.promise }
  }

  /** Milliseconds until a promise settles. */
  async function timeOf(promise: Promise<unknown>): Promise<number> {
    const before = performance.now()
    await promise.catch(() => undefined)
    return performance.now() - before
  }

  test.each(['its own pool', 'a pool of the app'])(
    'with %s',
    async (which) => {
      const pool = which === 'its own pool' ? undefined : new Pool({ connectionString: proxy.url })
      pool?.on('error', () => undefined)
      closing.push(() => void pool?.end()) // not awaited: it waits for connections that the proxy has swallowed
      const { inbox, report, told, failed } = start(undefined, { pool })
      await Promise.all(Array.from({ length: 20 }, (_, index) => report(`before ${String(index)}`)))
      await settled(inbox)

      proxy.swallow()
      const swallowedAt = performance.now()
      let outcome: string | undefined
      while (outcome !== 'accepted') {
        const answer = report('A')
        expect(await timeOf(answer)).toBeLessThan(20_000)
        outcome = await answer
        if (outcome === 'duplicate') break // the earlier commit succeeded, and its answer was swallowed
        expect(['accepted', 'ERR_CONVERSION_INBOX_UNAVAILABLE']).toContain(outcome)
      }
      await eventually(
        () => Promise.resolve(told),
        (all) => all.includes('A'),
      )
      expect(performance.now() - swallowedAt).toBeLessThan(30_000)
      expect(await timeOf(failed)).toBeLessThan(40_000)
      await eventually(
        () => inbox.list({ orderId: 'A' }),
        (rows) => rows.length === 1 && rows[0]?.state === 'done',
      )
    },
    120_000,
  )

  test('a delivery that runs meanwhile is settled, and its commit happens once', async () => {
    const ready = deferred()
    const swallowed = deferred()
    const { inbox, report, told } = start(async (orderId, { commit, attempt }) => {
      if (attempt === 1) {
        ready.resolve()
        await swallowed.promise
      }
      if (orderId === 'A') await commit((tx) => tx.query('INSERT INTO rewards VALUES ($1)', [orderId]))
    })
    await Promise.all([report('A'), report('B')])
    await ready.promise
    proxy.swallow()
    swallowed.resolve()
    await eventually(
      () => Promise.resolve(told),
      (all) => all.includes('A') && all.includes('B'),
    )
    await eventually(
      () => inbox.stats().catch(() => undefined), // a query on a swallowed connection fails
      (stats) => stats?.deliveries.done === 2,
    )
    expect((await client.query('SELECT order_id FROM rewards')).rows).toEqual([{ order_id: 'A' }])
  }, 120_000)

  test('a statement of commit that is swallowed fails, and its locks do not keep the next attempt waiting', async () => {
    const attempts: number[] = []
    const { inbox, report, told } = start(async (orderId, { attempt, commit }) => {
      attempts.push(attempt)
      await commit(async (tx) => {
        await tx.query('INSERT INTO rewards VALUES ($1)', [orderId])
        if (attempt === 1) proxy.swallow()
        await tx.query('SELECT 1')
      })
    })
    await report('A')
    const swallowedAt = performance.now()
    await eventually(
      () => Promise.resolve(told),
      (all) => all.includes('A'),
    )
    expect(performance.now() - swallowedAt).toBeLessThan(30_000)
    expect(attempts).toEqual([1, 2])
    expect((await client.query('SELECT order_id FROM rewards')).rows).toEqual([{ order_id: 'A' }])
    expect((await inbox.stats()).deliveries.done).toBe(1)
  }, 120_000)

  test.each([
    ['with a slow statement', (tx: PostgresClient) => tx.query('SELECT pg_sleep(12)')],
    ['that waits for another service', () => new Promise((resolve) => setTimeout(resolve, 12_000))],
  ])(
    'a commit %s is not aborted',
    async (_what, wait) => {
      const attempts: number[] = []
      const { report, inbox } = start(async (orderId, { attempt, commit }) => {
        attempts.push(attempt)
        await commit(async (tx) => {
          await tx.query('INSERT INTO rewards VALUES ($1)', [orderId])
          await wait(tx)
        })
      })
      await report('A')
      await settled(inbox)
      expect(attempts).toEqual([1])
    },
    120_000,
  )

  test('close resolves in time although connections are swallowed', async () => {
    const { inbox, report, webhook } = start(undefined, { closeTimeoutMs: 100 })
    await Promise.all([report('A'), report('B')])
    await settled(inbox)
    proxy.swallow()
    proxy.swallowNew(true)
    const reads = [inbox.stats(), inbox.list(), report('C')].map(timeOf)
    expect(await timeOf(webhook.close())).toBeLessThan(3_100)
    proxy.swallowNew(false)
    for (const ms of await Promise.all(reads)) expect(ms).toBeLessThan(20_000)
  }, 60_000)

  test('close resolves in time while a commit waits for a lock, and another process runs the delivery', async () => {
    await client.query('BEGIN; LOCK TABLE rewards')
    const asked = deferred()
    const { inbox, report, webhook } = start(
      async (orderId, { commit }) => {
        await commit((tx) => {
          const result = tx.query('INSERT INTO rewards VALUES ($1)', [orderId])
          asked.resolve()
          return result
        })
      },
      { closeTimeoutMs: 100 },
    )
    await report('A')
    await asked.promise
    expect(await timeOf(webhook.close())).toBeLessThan(3_100)
    await client.query('ROLLBACK')
    expect((await client.query('SELECT * FROM rewards')).rows).toEqual([])
    await expect(inbox.stats()).rejects.toMatchObject({ code: 'ERR_CONVERSION_INBOX_CLOSED' })
    const rows = await client.query<{ state: string }>(`SELECT state FROM network_${String(schemas)}.deliveries`)
    expect(rows.rows).toEqual([{ state: 'running' }])
  }, 60_000)
})
