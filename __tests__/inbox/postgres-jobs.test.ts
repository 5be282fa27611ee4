import { conversionWebhook } from '../../lib/index.js'
import { postgresInbox } from '../../lib/postgres.js'
import { eventually, settled } from '../contract/inboxes.js'
import { params } from '../support/callbacks.js'
import { hasPostgres, serving } from '../support/postgres.js'
import { deferred } from '../support/recorder.js'

/* Deliveries that are recorded together share jobs: what happens to those for which a process has no slot, and to those that fail. */

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

  test('a delivery for which a process has no slot is delivered by another process, while the first handler runs', async () => {
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

  test('a delivery that could not be claimed is claimed later by the same process, which keeps the lease of the job', async () => {
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

  test('a delivery whose claiming PostgreSQL refuses does not delay those that share its job', async () => {
    const { schema, orders } = await recorded(5)
    await postgres.client.query(`
      CREATE FUNCTION ${schema}.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        IF NEW.claim = (SELECT min(id) FROM ${schema}.claims) THEN RAISE 'never'; END IF;
        RETURN NEW;
      END $$;
      CREATE TRIGGER refuse BEFORE UPDATE ON ${schema}.deliveries FOR EACH ROW EXECUTE FUNCTION ${schema}.refuse()`)
    const told: string[] = []
    const webhook = conversionWebhook(
      { onSuccess: ({ orderId = '' }) => void told.push(orderId), onError: () => undefined },
      { secret: false, inbox: inboxIn(schema) },
    )
    const { deliveries } = await eventually(
      () => webhook.inbox.stats(),
      (stats) => stats.deliveries.done === orders.length - 1,
    )
    await webhook.close()
    expect(deliveries).toMatchObject({ waiting: 1, running: 0, done: 4 })
    expect(new Set(told).size).toBe(4)
  })

  test('a row that cannot be read stops neither the deliveries nor the callbacks that share its transaction', async () => {
    const { schema, orders } = await recorded(5)
    const ofFirst = `claim = (SELECT min(claim) FROM ${schema}.deliveries)`
    await postgres.client.query(`UPDATE ${schema}.deliveries SET callback = '{"v":9}' WHERE ${ofFirst}`)
    const told: string[] = []
    const webhook = conversionWebhook(
      { onSuccess: ({ orderId = '' }) => void told.push(orderId), onError: () => undefined },
      { secret: false, inbox: inboxIn(schema) },
    )
    const again = await Promise.allSettled(
      [...orders, 'new'].map((orderID) =>
        webhook.accept(params({ conversion: 'success', orderID, goal_complete: '0' })),
      ),
    )
    expect(again.filter(({ status }) => status === 'rejected')).toMatchObject([
      { reason: { code: 'ERR_CONVERSION_INBOX_NEWER' } },
    ])
    await eventually(
      () => Promise.resolve(told.length),
      (count) => count === orders.length,
    )
    await webhook.close()
    expect(new Set(told).size).toBe(orders.length)
    expect(told).toContain('new')
  })
})
