import { Pool } from 'pg'
import { conversionWebhook } from '../../lib/index.js'
import { postgresInbox } from '../../lib/postgres.js'
import { eventually, settled } from '../contract/inboxes.js'
import { params } from '../support/callbacks.js'
import { hasPostgres, serving } from '../support/postgres.js'
import { deferred } from '../support/recorder.js'

/* Deliveries that are recorded together share jobs: what becomes of those that a process has no slot for, and of what failed. */

const describePostgres = hasPostgres ? describe : describe.skip
let schemas = 0

describePostgres('jobs for several deliveries', () => {
  const postgres = serving()

  /** Records orders together, in a process that delivers nothing. */
  async function recorded(count: number) {
    const schema = `jobs_${String(++schemas)}`
    const orders = Array.from({ length: count }, (_, index) => `order ${String(index)}`)
    const receiver = conversionWebhook({}, { secret: false, inbox: inboxIn(schema) })
    await receiver.inbox.stats()
    await Promise.all(
      orders.map((orderID) => receiver.accept(params({ conversion: 'success', orderID, goal_complete: '0' }))),
    )
    await receiver.close()
    return { schema, orders }
  }

  function inboxIn(schema: string) {
    return postgresInbox({ connectionString: postgres.url, schema })
  }

  const jobs = (schema: string) =>
    postgres.client.query(`SELECT data, state FROM ${schema}.job ORDER BY created_on, id`)

  test('there are a fifth as many jobs as deliveries, and each delivery has one', async () => {
    const { schema, orders } = await recorded(12)
    const { rows } = await jobs(schema)
    const ids = rows.map(({ data }) => (data as { deliveryIds: string[] }).deliveryIds)
    expect(ids.map(({ length }) => length).sort()).toEqual([2, 5, 5])
    expect(new Set(ids.flat()).size).toBe(orders.length)
  })

  test('what a process has no slot for is delivered by another one, while the handler of the first runs', async () => {
    const { schema, orders } = await recorded(5)
    const begun = deferred<string>()
    const end = deferred()
    const slow = conversionWebhook(
      {
        onSuccess: async ({ orderId = '' }) => {
          begun.resolve(orderId)
          await end.promise
        },
      },
      { secret: false, inbox: inboxIn(schema), concurrency: 1 },
    )
    const first = await begun.promise
    const told: string[] = []
    const other = conversionWebhook(
      { onSuccess: ({ orderId = '' }) => void told.push(orderId) },
      { secret: false, inbox: inboxIn(schema), concurrency: 2 },
    )
    await eventually(
      () => Promise.resolve(told.length),
      (count) => count === orders.length - 1,
    )
    expect([...told, first].sort()).toEqual([...orders].sort())
    end.resolve()
    await settled(other.inbox)
    await Promise.all([slow.close(), other.close()])
    expect((await jobs(schema)).rows.map(({ state }) => state as string)).toEqual(
      expect.not.arrayContaining(['active']),
    )
  })

  test('a delivery that could not be taken up is taken up later by the same process, whose lease of the job goes on', async () => {
    const { schema, orders } = await recorded(3)
    await postgres.client.query(`
      CREATE FUNCTION ${schema}.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not now'; END $$;
      CREATE TRIGGER refuse BEFORE UPDATE ON ${schema}.deliveries EXECUTE FUNCTION ${schema}.refuse()`)
    const failed = deferred()
    const told: string[] = []
    const webhook = conversionWebhook(
      { onSuccess: ({ orderId = '' }) => void told.push(orderId), onError: () => failed.resolve() },
      { secret: false, inbox: inboxIn(schema) },
    )
    await failed.promise
    const leased = await jobs(schema)
    await postgres.client.query(`DROP TRIGGER refuse ON ${schema}.deliveries`)
    await settled(webhook.inbox)
    await webhook.close()
    expect(told.sort()).toEqual(orders)
    expect(leased.rows).toMatchObject([{ state: 'active' }])
    const { rows } = await postgres.client.query(`SELECT retry_count FROM ${schema}.job`)
    expect(rows).toEqual([{ retry_count: 0 }])
  })

  test.each(['take', 'settle'] as const)(
    'a delivery comes to its end, and its job too, where the answer to the commit of its %s is lost',
    async (what) => {
      const { schema } = await recorded(1)
      const pool = new Pool({ connectionString: postgres.url, max: 4 })
      let written = 0
      const losing = {
        connect: async () => {
          const connection = await pool.connect()
          const query = connection.query.bind(connection)
          let writes = false
          const asked = async (text: string, values?: unknown[]) => {
            if (text.startsWith('BEGIN')) writes = false
            writes ||= text.includes(`UPDATE ${schema}.deliveries`)
            const result = await query(text, values)
            if (text === 'COMMIT' && writes && ++written === (what === 'take' ? 1 : 2))
              throw new Error('Connection terminated unexpectedly')
            return result
          }
          return Object.assign(Object.create(connection) as object, {
            query: asked,
            release: connection.release.bind(connection),
            on: connection.on.bind(connection),
            off: connection.off.bind(connection),
          })
        },
        on: pool.on.bind(pool),
        end: () => pool.end(),
        query: pool.query.bind(pool),
      }
      const told: number[] = []
      const webhook = conversionWebhook(
        {
          onSuccess: (_conversion: unknown, { attempt }: { attempt: number }) => void told.push(attempt),
          onError: () => undefined,
        },
        { secret: false, inbox: postgresInbox({ pool: losing, schema }) },
      )
      await settled(webhook.inbox)
      expect(written).toBeGreaterThan(1)
      expect(told).toEqual([what === 'take' ? 2 : 1])
      await eventually(
        () => jobs(schema),
        ({ rows }) => rows.every(({ state }) => state === 'completed'),
      )
      await webhook.close()
      await pool.end()
    },
  )
})
