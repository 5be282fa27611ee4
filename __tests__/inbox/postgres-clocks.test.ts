import { conversionWebhook, type Inbox } from '../../lib/index.js'
import { postgresInbox } from '../../lib/postgres.js'
import { eventually } from '../contract/inboxes.js'
import { params } from '../support/callbacks.js'
import { hasPostgres, serving } from '../support/postgres.js'
import { deferred } from '../support/recorder.js'

/*
 * Steps of clocks. This process's wall clock is replaced. The server's clock is the machine's and cannot be stepped for one process, so the
 * functions by which the inbox and pg-boss read it are replaced, in a schema that PostgreSQL searches before its own.
 */

const describePostgres = hasPostgres ? describe : describe.skip

const hourMs = 3_600_000
const orders = ['A', 'B', 'C', 'D', 'E']

let schemas = 0
const closing: (() => unknown)[] = []

describePostgres('a clock that steps', () => {
  const postgres = serving()
  beforeAll(async () => {
    await postgres.client.query(`
      CREATE SCHEMA clock;
      CREATE TABLE clock.step (ms float8);
      INSERT INTO clock.step VALUES (0);
      CREATE FUNCTION clock.clock_timestamp() RETURNS timestamptz LANGUAGE sql
        AS $$ SELECT pg_catalog.clock_timestamp() + (SELECT ms FROM clock.step) * interval '1 millisecond' $$`)
  })
  afterEach(async () => {
    jest.restoreAllMocks()
    for (const close of closing.splice(0).reverse()) await close()
    await postgres.client.query('UPDATE clock.step SET ms = 0')
  })

  /** Five conversions whose first two attempts fail; resolves with how to await the first and the last of these. */
  async function start(confirm?: () => Date | true) {
    const schema = `clock_${String(++schemas)}`
    const connectionString = `${postgres.url}?options=${encodeURIComponent('-c search_path=clock,pg_catalog,public')}`
    const inbox: Inbox = postgresInbox({ connectionString, schema })
    await inbox.stats()
    await postgres.client.query(`CREATE OR REPLACE FUNCTION ${schema}.job_now() RETURNS timestamptz LANGUAGE sql STABLE
      AS $$ SELECT now() + (SELECT ms FROM clock.step) * interval '1 millisecond' $$`)
    const failed = deferred()
    const told = deferred()
    const done = new Set<string>()
    let attempts = 0
    const webhook = conversionWebhook(
      {
        onSuccess: ({ orderId = '' }, { attempt }) => {
          if (++attempts === orders.length) failed.resolve()
          if (attempt < 3) throw new Error('not yet')
          done.add(orderId)
          if (done.size === orders.length) told.resolve()
        },
        onError: () => undefined,
      },
      { secret: false, inbox, ...(confirm && { confirm }) },
    )
    closing.push(() => webhook.close())
    for (const orderID of orders) {
      await webhook.accept(params({ conversion: 'success', orderID, goal_complete: '0' }))
    }
    return { schema, inbox, failed: failed.promise, told: told.promise }
  }

  const processClock = (ms: number): Promise<unknown> => {
    jest.restoreAllMocks()
    const now = Date.now.bind(Date)
    jest.spyOn(Date, 'now').mockImplementation(() => now() + ms)
    return Promise.resolve()
  }
  const serverClock = (ms: number): Promise<unknown> => postgres.client.query('UPDATE clock.step SET ms = $1', [ms])

  async function transactions(): Promise<number> {
    await postgres.client.query('SELECT pg_stat_clear_snapshot()')
    const { rows } = await postgres.client.query<{ count: string }>(
      'SELECT xact_commit AS count FROM pg_stat_database WHERE datname = current_database()',
    )
    return Number(rows[0]?.count)
  }

  const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

  test.each([
    ['process', 24, 3, processClock],
    ['process', -24, 3, processClock],
    ['process', 1, Infinity, processClock],
    ['process', -1, Infinity, processClock],
    ['server', 24, 3, serverClock],
    ['server', -24, 3, serverClock],
    ['server', 1, Infinity, serverClock],
    ['server', -1, Infinity, serverClock],
  ])(
    'of the %s, by %d h for %d s, delays no retry by a minute and keeps nobody busy',
    async (_whose, hours, seconds, step) => {
      const { failed, told } = await start()
      await failed
      const before = await transactions()
      const startedAt = performance.now()
      await step(hours * hourMs)
      if (seconds < Infinity) {
        await wait(seconds * 1_000)
        await step(0)
      }
      await told
      const tookMs = performance.now() - startedAt
      expect(tookMs).toBeLessThan(4_000 + 60_000)
      expect(((await transactions()) - before) / (tookMs / 1_000)).toBeLessThan(100)
    },
    120_000,
  )

  test('of the server: a delivery that waits for a date still waits for that date', async () => {
    let asked = 0
    const date = new Date(Date.now() + 2 * hourMs)
    const { inbox } = await start(() => (asked++ < orders.length ? date : true))
    await eventually(
      () => inbox.stats(),
      ({ deliveries }) => deliveries.held === orders.length,
    )
    await serverClock(-hourMs)
    await wait(6_000)
    expect((await inbox.list()).map(({ heldUntil }) => heldUntil)).toEqual(orders.map(() => date))
    await serverClock(2 * hourMs)
    await eventually(
      () => inbox.stats(),
      ({ deliveries }) => deliveries.done === orders.length,
    )
  }, 120_000)
})
