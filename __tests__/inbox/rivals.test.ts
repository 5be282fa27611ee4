import type { DatabaseSync } from 'node:sqlite'
import { migrate as migratePostgres } from '../../lib/inbox/stores/postgres-schema.js'
import { PostgresRows } from '../../lib/inbox/stores/postgres-rows.js'
import { migrate as migrateSqlite } from '../../lib/inbox/stores/sqlite-schema.js'
import { SqliteRows } from '../../lib/inbox/stores/sqlite-rows.js'
import type { Queryable } from '../../lib/inbox/stores/postgres-client.js'
import { counting, watched } from '../support/plans.js'
import { hasPostgres, serving } from '../support/postgres.js'
import { hasSqlite, openFile } from '../support/sqlite.js'
import type { People } from '../../lib/inbox/records.js'
import { hashOfPeople, rivalId } from '../../lib/inbox/claims.js'

const clock = { lead: 0, now: Date.now }

/* The cost of finding the claim of a callback does not grow with the number of claims to its order. */

const rivals = 10_000
const identity = 'a'.repeat(40)
const both = { referrerEmail: 'referrer@shop.example', refereeEmail: 'referee@shop.example' }

/** A callback may leave out either address. */
const callbacks: readonly People[] = [
  both,
  { referrerEmail: both.referrerEmail },
  { refereeEmail: both.refereeEmail },
  {},
]

const columns = 'id, identity, people, scope, status, goal, referrer_email, referee_email, is_forgotten'

/** The claims of one order: half share one address with a callback, or leave one out, and half have nothing in common with it. */
function claimsOf(order: string, count: number) {
  return Array.from({ length: count }, (_each, index) => {
    const name = `${String(index)}@thief.example`
    const people: People =
      [
        { referrerEmail: both.referrerEmail, refereeEmail: name },
        { referrerEmail: name, refereeEmail: both.refereeEmail },
        { referrerEmail: name },
        { refereeEmail: name },
        { referrerEmail: name, refereeEmail: name },
        { referrerEmail: name, refereeEmail: `other ${name}` },
      ][index % 6] ?? {}
    const key = hashOfPeople(order, people)
    const id = index === 0 ? order : rivalId(order, key)
    return [id, order, key, '', 'success', 0, people.referrerEmail ?? null, people.refereeEmail ?? null, 0]
  })
}

/** An order whose rivals have one address each, are pruned, or are replayed conflicts, to which no callback belongs by its people. */
const mixed = 'c'.repeat(40)
const mixedClaims = [
  [mixed, mixed, 'people 0', '', 'success', 0, 'a@thief.example', 'b@thief.example', 0],
  ...callbacks.map((people, index) => {
    const { referrerEmail = null, refereeEmail = null } = people
    return [`claim ${String(index)}`, mixed, hashOfPeople(mixed, people), '', 'fail', 0, referrerEmail, refereeEmail, 0]
  }),
  ['forgotten', mixed, 'people 1', '', 'success', 0, null, null, 1],
  ['replayed 1', mixed, null, '', 'success', 0, both.referrerEmail, both.refereeEmail, 0],
  ['replayed 2', mixed, null, '', 'success', 0, null, null, 0],
]
/** All claims that do not contradict the callback, since there are few enough. */
const agreeing = ['claim 0', 'claim 1', 'claim 2', 'claim 3', 'forgotten']

/** One order with many claims, and many orders with two: the averages in a database's statistics do not fit the one. */
function allClaims() {
  const orders = Array.from({ length: 2_000 }, (_each, index) => String(index).padStart(40, 'b'))
  return [...claimsOf(identity, rivals), ...orders.flatMap((order) => claimsOf(order, 2)), ...mixedClaims]
}

const describeSqlite = hasSqlite ? describe : describe.skip
const describePostgres = hasPostgres ? describe : describe.skip
const names = callbacks.map((people) => [Object.keys(people).join(' and ') || 'no address', people] as const)

describeSqlite('SQLite', () => {
  let db: DatabaseSync
  beforeAll(() => {
    db = openFile(':memory:')
    migrateSqlite(db)
    const values = columns.split(', ').map(() => '?')
    const insert = db.prepare(`INSERT INTO conversion_webhook_claims (${columns}) VALUES (${values.join(', ')})`)
    db.exec('BEGIN')
    for (const claim of allClaims()) insert.run(...claim)
    db.exec('COMMIT')
  })
  afterAll(() => {
    db.close()
  })

  /** How the queries of a change read the tables. */
  function plans(ask: (rows: SqliteRows) => unknown): unknown[] {
    const { db: watching, steps } = watched(db)
    ask(new SqliteRows(watching, clock))
    return steps().filter((step) => /^(?:SEARCH|SCAN) (?!agreeing)/.test(step))
  }

  const ways = [
    ['conversion_webhook_rivals_by_referrer (identity=? AND referrer_email=? AND referee_email=?)'],
    Array<string>(2).fill('conversion_webhook_rivals_by_referrer (identity=? AND referrer_email=?)'),
    Array<string>(2).fill('conversion_webhook_rivals_by_referee (identity=? AND referee_email=?)'),
    ['conversion_webhook_rivals_by_people (identity=? AND people>?)'], // the first ones
  ]
  const byPeople = 'conversion_webhook_rivals_by_people (identity=? AND people=?)'
  const byId = 'sqlite_autoindex_conversion_webhook_claims_1 (id=?)'

  describe.each(['', 'ANALYZE'])('with the statistics of %p', (statistics) => {
    beforeAll(() => {
      db.exec(statistics)
    })

    test.each(names.map(([name, people], index) => [name, people, ways[index] ?? []] as const))(
      'finds the rivals for a callback with %s by indexes',
      (_name, people, conditions) => {
        const found = plans((rows) => {
          expect(rows.rivals(identity, people, 2).length).toBeLessThanOrEqual(2 * conditions.length)
        })
        expect(found).toEqual(
          [byPeople, byId, ...conditions].map((way) => `SEARCH conversion_webhook_claims USING INDEX ${way}`),
        )
      },
    )

    test.each(names)('finds every rival that does not contradict a callback with %s', (_name, people) => {
      expect([...new SqliteRows(db, clock).rivals(mixed, people, 9)].sort()).toEqual(agreeing)
    })

    test('finds a claim, and the one that has an order, by indexes', () => {
      const found = plans((rows) => {
        rows.record(identity)
        rows.holder(identity)
      })
      expect(found).toEqual([
        'SEARCH conversion_webhook_claims USING INDEX sqlite_autoindex_conversion_webhook_claims_1 (id=?)',
        'SEARCH conversion_webhook_deliveries USING INDEX sqlite_autoindex_conversion_webhook_deliveries_1 (claim=?)',
        'SEARCH o USING INDEX sqlite_autoindex_conversion_webhook_claims_1 (id=?)',
        'SEARCH c USING INTEGER PRIMARY KEY (rowid=?)',
        'SEARCH d USING INDEX sqlite_autoindex_conversion_webhook_deliveries_1 (claim=?)',
      ])
    })
  })
})

describePostgres('PostgreSQL', () => {
  const postgres = serving(['autovacuum=off'])
  beforeAll(async () => {
    await migratePostgres(postgres.client, 'conversion_webhook')
    const claims = allClaims()
    const arrays = columns.split(', ').map((_column, index) => claims.map((claim) => claim[index]))
    await postgres.client.query(
      `INSERT INTO conversion_webhook.claims (${columns}) SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[],
       $6::smallint[], $7::text[], $8::text[], $9::smallint[])`,
      arrays,
    )
  })

  /** How many rows of claims were looked at, and by which kinds of scan. */
  async function looks(ask: (rows: PostgresRows, client: Queryable) => Promise<unknown>) {
    const watching = counting(postgres.client)
    await ask(new PostgresRows('conversion_webhook'), watching.client)
    return { rows: watching.looked('claims'), kinds: watching.kinds('claims') }
  }

  describe.each(['', 'ANALYZE'])('with the statistics of %p', (statistics) => {
    beforeAll(async () => {
      await postgres.client.query(statistics)
    })

    test.each(names)('looks at a few rivals for a callback with %s', async (_name, people) => {
      const { rows, kinds } = await looks((all, explaining) => all.rivals(explaining, identity, people, 2))
      expect(rows).toBeLessThanOrEqual(4)
      expect(kinds).not.toContain('Seq Scan')
    })

    test.each(names)('finds every rival that does not contradict a callback with %s', async (_name, people) => {
      const found = await new PostgresRows('conversion_webhook').rivals(postgres.client, mixed, people, 9)
      expect([...found].sort()).toEqual(agreeing)
    })

    test('reads only one row to find a claim, or the claim that has an order', async () => {
      const { rows, kinds } = await looks(async (all, explaining) => {
        await all.records(explaining, [identity])
        await all.holders(explaining, [identity])
      })
      expect(rows).toBe(1)
      expect(kinds).not.toContain('Seq Scan')
    })
  })
})
