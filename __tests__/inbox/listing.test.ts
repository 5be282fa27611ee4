import type { DatabaseSync } from 'node:sqlite'
import { deliveryId, keyOf } from '../../lib/inbox/records.js'
import type { DeliverySelection, Position, StoredDelivery, Listed } from '../../lib/inbox/store.js'
import { migrate as migratePostgres } from '../../lib/inbox/stores/postgres-schema.js'
import { PostgresRows } from '../../lib/inbox/stores/postgres-rows.js'
import { toDelivery } from '../../lib/inbox/stores/rows.js'
import { SqliteDeliveries } from '../../lib/inbox/stores/sqlite-deliveries.js'
import { newest } from '../../lib/inbox/stores/sqlite-newest.js'
import { migrate as migrateSqlite } from '../../lib/inbox/stores/sqlite-schema.js'
import { encodeCallback } from '../../lib/inbox/stores/stored.js'
import { counting, slowSteps, watched } from '../support/plans.js'
import { hasPostgres, serving } from '../support/postgres.js'
import { hasSqlite, openFile } from '../support/sqlite.js'

/* Which deliveries are listed, newest first, and that a listing reads few others: neither all of a frequent address nor all of a state. */

const total = 6_000
const states = ['waiting', 'done', 'dead', 'withdrawn', 'refused', 'running'] as const
/** Nearly all deliveries are done; a few of each other state are among the oldest. */
const stateOf = (index: number) => (index < 60 ? (states[index % 6] ?? 'done') : 'done')
const callback = encodeCallback({ status: 'success', scope: '', receivedAt: 0, params: {}, extra: {}, repairs: [] })

interface Row {
  readonly claim: string
  readonly state: string
  readonly receivedAt: number
  readonly scope: string
  readonly order: string
  readonly referrer: string | null
  readonly referee: string
}

const everybody = 'everybody@shop.example'
/** Three deliveries have the same time, so that their ids decide about their order. */
const rows: readonly Row[] = Array.from({ length: total }, (_each, index) => ({
  claim: String((index * 7_919) % 1_000_000).padStart(40, 'a'),
  state: stateOf(index),
  receivedAt: Math.floor(index / 3),
  scope: index % 1_000 === 5 ? 'rare' : '',
  order: index % 2 === 0 ? 'the same' : `order ${String(index)}`,
  referrer: index % 10 === 0 ? null : everybody,
  referee: index % 3 === 0 ? everybody : `${String(index)}@shop.example`,
}))

const limit = 20
const selections: readonly Partial<DeliverySelection>[] = [
  {},
  ...states.map((state) => ({ state })),
  ...['', 'rare', 'unknown'].map((scope) => ({ scope })),
  ...states.flatMap((state) => ['', 'rare', 'unknown'].map((scope) => ({ state, scope }))),
  { email: everybody },
  { email: '1@shop.example' },
  { email: 'nobody@shop.example' },
  { orderId: 'the same' },
  { orderId: 'order 7' },
  { orderId: 'unknown' },
  { orderId: 'order 7', email: everybody },
  { orderId: 'order 7', email: 'nobody@shop.example' },
]
/** Listings that filter the rows of an index in portions, since few of these rows may match. */
const filtered: readonly Partial<DeliverySelection>[] = [
  { email: everybody, state: 'dead' },
  { email: everybody, scope: 'unknown' },
  { email: everybody, scope: 'rare' },
  { orderId: 'the same', state: 'waiting' },
  { orderId: 'the same', email: everybody, state: 'done' },
]
const befores: readonly (Position | undefined)[] = [
  undefined,
  { receivedAt: 1_000, id: `${'a'.repeat(35)}50000:success` },
]
const casesOf = (all: readonly Partial<DeliverySelection>[]) =>
  befores.flatMap((before) =>
    all.map((selection) => [JSON.stringify({ ...selection, before }), { limit, before, ...selection }] as const),
  )

const idOf = ({ claim }: Row) => `${claim}:success`

/** The expected listing, computed in JavaScript. */
function expected({ state, scope, orderId, email, before, limit: most }: DeliverySelection): readonly string[] {
  return rows
    .filter(
      (row) =>
        (state === undefined || row.state === state) &&
        (scope === undefined || row.scope === scope) &&
        (orderId === undefined || row.order === orderId) &&
        (email === undefined || row.referrer === email || row.referee === email) &&
        (before === undefined ||
          row.receivedAt < before.receivedAt ||
          (row.receivedAt === before.receivedAt && idOf(row) < before.id)),
    )
    .sort((a, b) => b.receivedAt - a.receivedAt || (idOf(a) < idOf(b) ? 1 : -1))
    .slice(0, most)
    .map(idOf)
}

const idsOf = (found: readonly Listed<StoredDelivery>[]) =>
  found.map((row) => ('unread' in row ? row.id : deliveryId(row.claim, keyOf(row.delivery))))

const describeSqlite = hasSqlite ? describe : describe.skip
const describePostgres = hasPostgres ? describe : describe.skip

describeSqlite('SQLite', () => {
  let db: DatabaseSync
  beforeAll(() => {
    db = openFile(':memory:')
    migrateSqlite(db)
    db.exec('BEGIN')
    const claim = db.prepare(
      `INSERT INTO conversion_webhook_claims (id, identity, scope, status, goal, is_forgotten) VALUES (?, ?, ?, 'success', 0, 0)`,
    )
    const delivery = db.prepare(
      `INSERT INTO conversion_webhook_deliveries (claim, event_key, sequence, state, attempts, holds, due_at, received_at, is_unheard, takes,
       scope, order_id, referrer_email, referee_email, callback) VALUES (?, 'success', 1, ?, 0, 0, 0, ?, 0, 0, ?, ?, ?, ?, ?)`,
    )
    for (const row of rows) {
      const { lastInsertRowid } = claim.run(row.claim, row.claim, row.scope)
      delivery.run(
        lastInsertRowid,
        row.state,
        row.receivedAt,
        row.scope,
        row.order,
        row.referrer,
        row.referee,
        callback,
      )
    }
    db.exec('COMMIT')
  })
  afterAll(() => {
    db.close()
  })

  describe.each(['', 'ANALYZE'])('with the statistics of %p', (statistics) => {
    beforeAll(() => {
      db.exec(statistics)
    })

    test.each(casesOf(selections))('%s', async (_name, selection) => {
      const { db: watching, steps } = watched(db)
      const found = await newest(new SqliteDeliveries(watching, toDelivery), selection, (query) =>
        Promise.resolve(query()),
      )
      expect(idsOf(found)).toEqual(expected(selection))
      // Only running deliveries are sorted.
      const slow = slowSteps(steps()).filter((step) => step !== 'SCAN t USING INDEX conversion_webhook_running')
      expect(slow.filter((step) => step !== 'USE TEMP B-TREE FOR ORDER BY')).toEqual([])
      expect(slow.length).toBeLessThanOrEqual(selection.state === undefined || selection.state === 'running' ? 1 : 0)
    })

    test.each(casesOf(filtered))('%s in portions', async (_name, selection) => {
      const found = await newest(new SqliteDeliveries(db, toDelivery), selection, (query) => Promise.resolve(query()))
      expect(idsOf(found)).toEqual(expected(selection))
    })
  })

  test('a search for an address among few deliveries of a state does not read all deliveries of the address', async () => {
    const walksFor = async (state: DeliverySelection['state']) => {
      const listing = new SqliteDeliveries(db, toDelivery)
      const walk = jest.spyOn(listing, 'walk')
      const selection = { limit, before: undefined, email: everybody, scope: 'rare', state }
      expect(idsOf(await newest(listing, selection, (query) => Promise.resolve(query())))).toEqual(expected(selection))
      return walk.mock.calls.length
    }
    expect(await walksFor('dead')).toBe(1)
    expect(await walksFor('running')).toBe(1)
    expect(await walksFor('done')).toBeGreaterThan(1)
  })

  test('lets callbacks be recorded between the portions', async () => {
    let turns = 0
    let isOver = false
    const turn = () => {
      turns++
      if (!isOver) setImmediate(turn)
    }
    setImmediate(turn)
    const selection = { limit, before: undefined, email: everybody, scope: 'unknown' }
    await newest(new SqliteDeliveries(db, toDelivery), selection, (query) => Promise.resolve(query()))
    isOver = true
    expect(turns).toBeGreaterThanOrEqual(2)
  })
})

describePostgres('PostgreSQL', () => {
  const postgres = serving(['autovacuum=off'])
  beforeAll(async () => {
    await migratePostgres(postgres.client, 'conversion_webhook')
    const values = [
      rows.map(({ claim }) => claim),
      rows.map(({ state }) => state),
      rows.map(({ receivedAt }) => receivedAt),
      rows.map(({ scope }) => scope),
      rows.map(({ order }) => order),
      rows.map(({ referrer }) => referrer),
      rows.map(({ referee }) => referee),
    ]
    await postgres.client.query(
      `INSERT INTO conversion_webhook.claims (id, identity, scope, status, goal, is_forgotten)
       SELECT claim, claim, scope, 'success', 0, 0 FROM unnest($1::text[], $2::text[]) AS v (claim, scope)`,
      [values[0], values[3]],
    )
    await postgres.client.query(
      `INSERT INTO conversion_webhook.deliveries (claim, event_key, sequence, state, attempts, holds, due_at, received_at, is_unheard, takes,
         scope, order_id, referrer_email, referee_email, callback)
       SELECT claim, 'success', 1, state, 0, 0, 0, received_at, 0, 0, scope, order_id, referrer, referee, $8
       FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[])
         AS v (claim, state, received_at, scope, order_id, referrer, referee)`,
      [...values, callback],
    )
    await postgres.client.query('ANALYZE')
  })

  test.each(casesOf(selections))('%s', async (_name, selection) => {
    const watching = counting(postgres.client)
    const found = await new PostgresRows('conversion_webhook').deliveries(watching.client, selection)
    expect(idsOf(found)).toEqual(expected(selection))
    // The rows of each way, and then those that are listed with their claims.
    expect(watching.looked()).toBeLessThanOrEqual(6 * (limit + 4) + 2 * limit)
  })

  test.each(casesOf(filtered))('%s', async (_name, selection) => {
    const found = await new PostgresRows('conversion_webhook').deliveries(postgres.client, selection)
    expect(idsOf(found)).toEqual(expected(selection))
  })
})
