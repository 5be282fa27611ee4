import { Pool } from 'pg'
import { DurableInbox } from '../../lib/inbox/durable-inbox.js'
import { durableBudget } from '../../lib/inbox/quarantine.js'
import { openPostgres, requireDrivers, type PostgresParts } from '../../lib/inbox/stores/postgres-open.js'
import { PostgresStore } from '../../lib/inbox/stores/postgres.js'
import { conversionWebhook } from '../../lib/index.js'
import { postgresInbox } from '../../lib/postgres.js'
import { settled } from '../contract/inboxes.js'
import { params } from '../support/callbacks.js'
import { hasPostgres, serving } from '../support/postgres.js'
import { deferred } from '../support/recorder.js'

/* The server executes a statement and the connection is lost before the answer: everything is still delivered, and no lease is left. */

const describePostgres = hasPostgres ? describe : describe.skip
let schemas = 0

/** When the connection of a statement is lost: before the statement is sent, or before it is answered. */
type Fault = 'unsent' | 'unheard' | undefined

describePostgres('a process whose connections are cut', () => {
  const postgres = serving()
  const pools: Pool[] = []
  afterEach(async () => {
    await Promise.all(pools.splice(0).map((pool) => pool.end()))
  })

  /** An app's pool whose connections are lost as `fault` decides; `sent` are the earlier statements of the transaction. */
  function poolWith(fault: (text: string, sent: readonly string[]) => Fault): Pool {
    const pool = new Pool({ connectionString: postgres.url })
    pools.push(pool)
    pool.on('error', () => undefined)
    pool.on('connect', (client) => {
      const query = client.query.bind(client) as (text: string, values?: unknown[]) => Promise<unknown>
      let sent: string[] = []
      const faulty = async (text: string, values?: unknown[]): Promise<unknown> => {
        if (text.startsWith('BEGIN')) sent = []
        const found = fault(text, sent)
        sent.push(text)
        const answer = found === 'unsent' ? undefined : await query(text, values)
        if (found === undefined) return answer
        Object.assign(client, { query: () => Promise.reject(new Error('Client was closed and is not queryable')) })
        throw new Error('Connection terminated unexpectedly')
      }
      Object.assign(client, { query: faulty })
    })
    return pool
  }

  /** Records orders together, in a process that delivers nothing; then delivers them in one whose connections are cut. */
  async function recorded(count: number) {
    const schema = `unheard_${String(++schemas)}`
    const orders = Array.from({ length: count }, (_, index) => `order ${String(index)}`)
    const receiver = conversionWebhook(
      {},
      { secret: false, inbox: postgresInbox({ connectionString: postgres.url, schema }) },
    )
    await receiver.inbox.stats()
    await Promise.all(
      orders.map((orderID) => receiver.accept(params({ conversion: 'success', orderID, goal_complete: '0' }))),
    )
    await receiver.close()
    return { schema, orders }
  }

  function inboxOn(pool: Pool, schema: string) {
    let parts: PostgresParts | undefined
    const options = { pool, schema, onError: () => undefined }
    const store = new PostgresStore(async (quarantineBudget, closing) => {
      parts = await openPostgres(requireDrivers(), { ...options, quarantineBudget }, closing)
      return parts
    }, durableBudget)
    return { inbox: new DurableInbox(store), leases: () => parts?.jobs.leases.all }
  }

  const states = async (schema: string) =>
    (await postgres.client.query<{ state: string }>(`SELECT DISTINCT state FROM ${schema}.job`)).rows

  const isTake = (sent: readonly string[]) => sent.some((text) => /UPDATE \S+\.deliveries d/.test(text))

  test('runs a delivery that it has claimed without getting the answer', async () => {
    const { schema, orders } = await recorded(3)
    let isCut = false
    const pool = poolWith((text, sent) => {
      if (isCut || text !== 'COMMIT' || !isTake(sent)) return undefined
      isCut = true
      return 'unheard'
    })
    const { inbox, leases } = inboxOn(pool, schema)
    const told: string[] = []
    const handlers = { onSuccess: ({ orderId = '' }) => void told.push(orderId), onError: () => undefined }
    const webhook = conversionWebhook(handlers, { secret: false, inbox })
    await settled(inbox)
    expect(told.sort()).toEqual(orders)
    expect(leases()).toEqual([])
    await webhook.close()
    expect(await states(schema)).toEqual([{ state: 'completed' }])
  })

  test('ends the lease of a job though the answer was lost that recorded one of its deliveries as done', async () => {
    const { schema, orders } = await recorded(3)
    let isCutting = false
    const cut = deferred()
    const pool = poolWith((text, sent) => {
      if (!isCutting || text !== 'COMMIT' || !isTake(sent)) return undefined
      isCutting = false
      cut.resolve()
      return 'unheard'
    })
    const { inbox, leases } = inboxOn(pool, schema)
    const told: string[] = []
    const all = deferred()
    const onSuccess = async ({ orderId = '' }) => {
      told.push(orderId)
      if (told.length === orders.length) all.resolve()
      await all.promise
      if (told[0] === orderId) isCutting = true
      else await cut.promise
    }
    const webhook = conversionWebhook({ onSuccess, onError: () => undefined }, { secret: false, inbox })
    await settled(inbox)
    await webhook.close()
    expect(told.sort()).toEqual(orders)
    expect(leases()).toEqual([])
    expect(await states(schema)).toEqual([{ state: 'completed' }])
  })

  test('ends an attempt that another process has taken over, when its handler ends', async () => {
    const { schema } = await recorded(1)
    const { inbox, leases } = inboxOn(
      poolWith(() => undefined),
      schema,
    )
    const begun = deferred()
    const end = deferred()
    const onSuccess = async () => {
      begun.resolve()
      await end.promise
    }
    const webhook = conversionWebhook({ onSuccess, onError: () => undefined }, { secret: false, inbox, concurrency: 1 })
    await begun.promise
    // As pg-boss does with the job of a process that fell silent.
    await postgres.client.query(`UPDATE ${schema}.job SET state = 'retry', start_after = now()`)
    const other = conversionWebhook(
      { onSuccess: () => undefined },
      { secret: false, inbox: postgresInbox({ connectionString: postgres.url, schema }) },
    )
    await settled(inbox)
    end.resolve()
    await webhook.close()
    await other.close()
    expect(leases()).toEqual([])
  })

  test('claims a delivery later that it could not claim, though a look for candidates fails meanwhile', async () => {
    const { schema, orders } = await recorded(3)
    let takenUpAt = Infinity
    const pool = poolWith((text, sent) => {
      const now = performance.now()
      if (text === 'COMMIT' && isTake(sent) && takenUpAt === Infinity) {
        takenUpAt = now
        return 'unsent'
      }
      const isFetch = text.includes('SKIP LOCKED')
      return isFetch && now > takenUpAt && now < takenUpAt + 7_000 ? 'unsent' : undefined
    })
    const { inbox } = inboxOn(pool, schema)
    const told: string[] = []
    const handlers = { onSuccess: ({ orderId = '' }) => void told.push(orderId), onError: () => undefined }
    const webhook = conversionWebhook(handlers, { secret: false, inbox })
    await settled(inbox)
    await webhook.close()
    expect(told.sort()).toEqual(orders)
  })
})
