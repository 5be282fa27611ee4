import type { DatabaseSync } from 'node:sqlite'
import { durableBudget, type QuarantinedCallback } from '../../lib/inbox/quarantine.js'
import { searchForms, searchKey } from '../../lib/inbox/search.js'
import type { QuarantineSelection, Listed } from '../../lib/inbox/store.js'
import { migrate as migratePostgres } from '../../lib/inbox/stores/postgres-schema.js'
import { PostgresQuarantine } from '../../lib/inbox/stores/postgres-quarantine.js'
import { migrate as migrateSqlite } from '../../lib/inbox/stores/sqlite-schema.js'
import { SqliteQuarantine } from '../../lib/inbox/stores/sqlite-quarantine.js'
import { Tally } from '../../lib/inbox/tally.js'
import { counting, slowSteps, watched } from '../support/plans.js'
import { hasPostgres, serving } from '../support/postgres.js'
import { refused } from '../support/refused.js'
import { hasSqlite, openFile } from '../support/sqlite.js'

/* The strings by which a quarantined callback is found, and that a search reads few others. */

describe('the forms that a quarantined callback is found by', () => {
  const formsOf = (...pairs: (readonly [string, string])[]) => [...searchForms(refused(pairs))]

  test('are the texts of its parameters, as an order id and as an e-mail address', () => {
    expect(
      formsOf(
        ['conversion', 'success'],
        ['orderID', ' A1 '],
        ['referee_email', 'Eva@Shop.Example'],
        ['goal_complete', '1'],
      ),
    ).toEqual(['A1', 'Eva@Shop.Example', 'eva@shop.example'])
    expect(formsOf(['orderID', 'eva@shop.example'], ['referrer_email', 'eva@shop.example'])).toEqual([
      'eva@shop.example',
    ])
    expect(formsOf(['referrer_email', 'No Address'])).toEqual(['No Address', 'no address'])
  })

  test('are the names of unknown parameters too, after everything else', () => {
    expect(formsOf(['B-7', ''], ['campaign', 'spring'], ['orderID', 'A'])).toEqual(['A', 'spring', 'B-7', 'campaign'])
  })

  test('are as long as an order id or an e-mail address may be, in characters', () => {
    const long = '😀'.repeat(255)
    expect(formsOf(['orderID', long])).toEqual([long])
    expect(formsOf(['orderID', `${long}x`], ['note', 'x'.repeat(256)])).toEqual(['note'])
    const address = `A@${'😀'.repeat(318)}`
    expect(formsOf(['referee_email', address], ['referrer_email', `${address}x`])).toEqual([address.toLowerCase()])
  })

  test('are at most 64, with the documented parameters first', () => {
    const many = Array.from(
      { length: 99 },
      (_each, index) => [`name ${String(index)}`, `text ${String(index)}`] as const,
    )
    const forms = formsOf(...many, ['orderID', 'A'])
    expect(forms).toHaveLength(64)
    expect(forms[0]).toBe('A')
  })

  test('are stored as 64 bits of a hash', () => {
    expect(searchKey('A')).toBe(searchKey('A'))
    expect(searchKey('A')).not.toBe(searchKey('a'))
    expect(BigInt.asIntN(64, searchKey('A'))).toBe(searchKey('A'))
  })
})

const rows = 2_000
const now = Date.now()
const callbacks = Array.from({ length: rows }, (_each, index) =>
  refused(
    [
      ['orderID', index % 2 === 0 ? `order ${String(index)}` : 'the same'],
      ['referee_email', `${String(index)}@shop.example`],
      ['referrer_email', 'Everybody@shop.example'],
    ],
    { receivedAt: now - rows + index, scope: index === 7 ? 'rare' : 'spring' },
  ),
)
const limit = 20
const selections: readonly (readonly [string, number, Partial<QuarantineSelection>])[] = [
  ['all', limit, {}],
  ['those of an order', 1, { orderId: 'order 500' }],
  ['those of an order that half of them have', limit, { orderId: 'the same' }],
  ['those of an address', 1, { email: '501@shop.example' }],
  ['those of an address that all of them have', limit, { email: 'everybody@shop.example' }],
  ['those of an order and an address', 1, { orderId: 'order 500', email: '500@shop.example' }],
  ['none of an order and the address of another', 0, { orderId: 'order 500', email: '501@shop.example' }],
  ['none of an order that nobody has', 0, { orderId: 'order' }],
  ['those of a scope', limit, { scope: 'spring' }],
  ['those of a scope that one has', 1, { scope: 'rare' }],
  ['none of a scope that nobody has', 0, { scope: 'autumn' }],
  ['those in a state', limit, { state: 'refused' }],
  ['none in a state that none is in', 0, { state: 'done', scope: 'spring' }],
  ['those before one', limit, { before: { receivedAt: now - 1_000, id: 'x' } }],
  ['those of a scope before one', limit, { scope: 'spring', before: { receivedAt: now - 1_000, id: 'x' } }],
]
const cases = selections.map(([name, count, selection]) => [name, count, { limit, ...selection }] as const)

/** All rows of these tests came once. */
const timeOf = (row: Listed<QuarantinedCallback>): number => ('lastAt' in row ? row.lastAt : NaN)

const describeSqlite = hasSqlite ? describe : describe.skip
const describePostgres = hasPostgres ? describe : describe.skip

describeSqlite('SQLite', () => {
  let db: DatabaseSync
  beforeAll(() => {
    db = openFile(':memory:')
    migrateSqlite(db)
    const quarantine = new SqliteQuarantine(db, durableBudget)
    db.exec('BEGIN')
    for (const callback of callbacks) quarantine.write(undefined, callback)
    db.exec('COMMIT')
  })
  afterAll(() => {
    db.close()
  })

  describe.each(['', 'ANALYZE'])('with the statistics of %p', (statistics) => {
    beforeAll(() => {
      db.exec(statistics)
    })

    test.each(cases)('finds %s by indexes, in the order of time', (_name, count, selection) => {
      const { db: watching, steps } = watched(db)
      const quarantine = new SqliteQuarantine(watching, durableBudget)
      const found = quarantine.rows(quarantine.walk(selection, 1_000).numbers)
      expect(found).toHaveLength(count)
      expect(found).toEqual([...found].sort((a, b) => timeOf(b) - timeOf(a)))
      expect(slowSteps(steps())).toEqual([])
    })
  })

  test('leaves no key of a row that was removed, or replaced because it was too old', () => {
    const quarantine = new SqliteQuarantine(db, durableBudget)
    const count = () => Number(db.prepare('SELECT count(*) AS n FROM conversion_webhook_quarantine_keys').get()?.n)
    const before = count()
    const old = refused([['orderID', 'once']], { receivedAt: 1 })
    quarantine.write(undefined, old)
    quarantine.write(undefined, { ...old, receivedAt: now })
    expect(count()).toBe(before + 1)
    expect(quarantine.drop(old.id)).toBe(true)
    expect(count()).toBe(before)
  })
})

describePostgres('PostgreSQL', () => {
  const postgres = serving(['autovacuum=off'])
  beforeAll(async () => {
    await migratePostgres(postgres.client, 'conversion_webhook')
    const after = new Map(callbacks.map((callback) => [callback.id, callback]))
    await new PostgresQuarantine('conversion_webhook', durableBudget).write(
      postgres.client,
      new Map(),
      after,
      [],
      new Tally(),
    )
    await postgres.client.query('ANALYZE')
  })

  test.each(cases)('finds %s and looks at few others', async (name, count, selection) => {
    const watching = counting(postgres.client)
    const quarantine = new PostgresQuarantine('conversion_webhook', durableBudget)
    const found = await quarantine.list(watching.client, selection)
    expect(found).toHaveLength(count)
    expect(found).toEqual([...found].sort((a, b) => timeOf(b) - timeOf(a)))
    // The index has no times, so the search reads every row with the order or address; the budget limits their number.
    if (!/that (?:half|all)/.test(name)) expect(watching.looked()).toBeLessThanOrEqual(4 * limit)
  })
})
