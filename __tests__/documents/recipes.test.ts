import { Client } from 'pg'
import { hasPostgres, startServer, type Server } from '../support/postgres.js'
import { hasSqlite, temporaryFolder } from '../support/sqlite.js'
import { findRecipes, read, type Recipe } from './recipes.js'
import { openShop, type Booked, type Parameters, type Sale, type Shop } from './shops.js'

/*
 * The recipes for money, taken out of the documents and run as printed in a shop with a real database, against who tries to be paid for
 * an order of somebody else, or twice. A new recipe is found and run by itself.
 */

const recipes = findRecipes()
const anna = 'anna@shop.example'
const reward: Booked = { kind: 'reward', email: anna, cents: 1000 }

/** What each `confirm` says no to, waits for, and says yes with. */
const rules = [
  'if (!orderId || !referrer.email || !referee.email) return false',
  "if (!order) return 'hold'",
  'String(order.number) !== orderId',
  'fold(order.email) !== fold(referee.email)',
  "if (order.state === 'open') return 'hold'",
  "order.state !== 'paid' || !order.paid_at || fold(order.email) === fold(referrer.email)) return false",
  'return dueAt < new Date() ? { order: order.number } : dueAt',
]

describe('every recipe', () => {
  test('is one of those that run here', () => {
    expect(recipes.map(({ name }) => name.replace(/:\d+$/, ''))).toEqual([
      'README.md',
      'docs/rewards.md',
      'examples/rewards.ts',
      'examples/two-processes.mjs',
    ])
  })

  test.each(recipes)(
    '$name asks by the one shape of confirm, and books in the transaction of its delivery',
    (recipe) => {
      expect(rules.filter((rule) => recipe.confirm?.includes(rule) !== true)).toEqual([])
      expect(recipe.confirm).toBe(recipes[0]?.confirm)
      expect(recipe.code).toContain(".trim().normalize('NFC').toLowerCase()")
      expect(recipe.code).toContain('FROM orders WHERE number = ')
      expect(recipe.commits).toBe(true)
      expect(recipe.code).not.toContain('purchaseValue')
      expect(recipe.code).toContain('previous?.status')
    },
  )

  test('is found wherever it stands', () => {
    const found = (code: string) => {
      const { confirm, commits } = read({ name: '', code })
      return confirm !== undefined || commits
    }
    expect(found('use({ confirm: async ({ orderId }) => (await orders.find(orderId)).isPaid })')).toBe(true)
    expect(found('function confirm() { return true }')).toBe(true)
    expect(found('const confirm = () => true')).toBe(true)
    expect(found('const pay = (_, context) => context.commit((db) => db.exec(""))')).toBe(true)
    expect(found('use({ onSuccess: () => 1 }, { confirm })')).toBe(false)
  })
})

/** A success of an order whose buyer was referred by Anna. */
const success = (orderID: string | undefined, changes: Parameters = {}): Parameters => ({
  conversion: 'success',
  orderID,
  referrer_email: anna,
  referee_email: 'friend@shop.example',
  goal_complete: '0',
  ...changes,
})

const sum = (rows: readonly Booked[]) => rows.reduce((total, { cents }) => total + cents, 0)

/** What a recipe must withstand, whatever its shop's order numbers are. */
function withstands(recipe: Recipe, numberType: string, place: () => Promise<string>): void {
  let shop: Shop
  const paysGoals = recipe.code.includes('onGoalComplete')
  const paid = [reward, ...(paysGoals ? [{ kind: 'bonus', email: anna, cents: 5000 }] : [])].reverse()

  beforeAll(async () => {
    process.env.CONVERSION_WEBHOOK_SECRET = 'a-secret-of-the-tests'
    shop = await openShop(recipe, await place(), numberType)
  })
  afterAll(async () => {
    await shop.close()
    delete process.env.CONVERSION_WEBHOOK_SECRET
  })

  test('pays from its own order, once, whatever amount a callback says and however often it comes', async () => {
    await shop.sell({ number: '100' })
    for (let repeat = 0; repeat < 3; repeat += 1) await shop.report(success('100', { purchaseValue: '99999999' }))
    expect(await shop.booked('100')).toEqual([reward])
  })

  test.each(['exact first', 'exact last'])('pays once for all spellings of a number, %s', async (when) => {
    const number = when === 'exact first' ? '1001' : '1002'
    await shop.sell({ number })
    const others = [
      `0${number}`,
      `${number}.0`,
      `+${number}`,
      `1.${number.slice(1)}e3`,
      `0x${Number(number).toString(16)}`,
    ]
    const spellings = when === 'exact first' ? [number, ` ${number}`, ...others] : [...others, `${number} `, number]
    for (const spelling of spellings) await shop.report(success(spelling))
    await shop.again()
    expect(await shop.booked(number)).toEqual([reward])
    for (const other of others) expect(await shop.booked(other)).toEqual([])
  })

  if (/text/i.test(numberType)) {
    test('pays once for a number in all of its cases', async () => {
      await shop.sell({ number: 'abc' })
      for (const spelling of ['ABC', 'Abc', 'abc', 'aBC']) await shop.report(success(spelling))
      expect(await shop.booked('abc')).toEqual([reward])
      expect(await shop.booked('ABC')).toEqual([])
    })
  }

  const thief = { referrer_email: 'thief@shop.example', referee_email: 'other@shop.example' }
  const blank = { referrer_email: undefined, referee_email: undefined }
  test.each([
    ['with his own addresses', 2001, [thief]],
    ['with no addresses', 2011, [blank]],
    ['with his own as referrer alone', 2021, [{ ...blank, referrer_email: thief.referrer_email }]],
    ['with all of these', 2031, [blank, thief, { ...blank, referrer_email: thief.referrer_email }]],
  ])('pays the honest 5 of 5 and never who claims the next five orders %s', async (_how, from, claims) => {
    const numbers = [0, 1, 2, 3, 4].map((offset) => String(from + offset))
    for (const number of numbers) for (const claim of claims) await shop.report(success(number, claim))
    for (const number of numbers) {
      await shop.sell({ number, state: 'open', paidDaysAgo: null })
      await shop.report(success(number))
    }
    await shop.again()
    for (const number of numbers) expect(await shop.booked(number)).toEqual([])
    for (const number of numbers) await shop.sell({ number })
    await shop.again()
    expect(await Promise.all(numbers.map((number) => shop.booked(number)))).toEqual(numbers.map(() => [reward]))
  })

  test.each<[string, string, Parameters, Partial<Sale>]>([
    ['no friend', '3001', { referee_email: undefined }, {}],
    ['no referrer', '3002', { referrer_email: undefined }, {}],
    ["another's order", '3003', { referee_email: 'other@shop.example' }, {}],
    ['who refers himself', '3004', { referrer_email: ' Friend@Shop.example' }, {}],
    ['a cancelled order', '3005', {}, { state: 'cancelled' }],
    ['an order without a state', '3006', {}, { state: 'whatever' }],
    ['an order without a time of payment', '3007', {}, { paidDaysAgo: null }],
    ['an order without a customer', '3008', {}, { email: null }],
    ['no order number', '3009', { orderID: undefined }, {}],
  ])('pays nothing for %s', async (_what, number, changes, sale) => {
    await shop.sell({ number, ...sale })
    expect((await shop.report(success(number, changes)))?.state).toBe('refused')
    expect(await shop.booked(number)).toEqual([])
  })

  test('pays nothing for an order that is not there', async () => {
    expect((await shop.report(success('3999')))?.state).toBe('waiting')
    expect(await shop.booked('3999')).toEqual([])
  })

  test('compares addresses as people write them', async () => {
    await shop.sell({ number: '3100', email: ' J\u00fcrgen@Shop.example' })
    await shop.report(success('3100', { referee_email: 'ju\u0308rgen@shop.EXAMPLE' }))
    expect(await shop.booked('3100')).toEqual([reward])
  })

  test('waits for the end of the refund window, and pays nothing for what was sent back in it', async () => {
    for (const number of ['4001', '4002']) {
      await shop.sell({ number, paidDaysAgo: 29 })
      expect((await shop.report(success(number)))?.state).toBe('waiting')
      expect(await shop.booked(number)).toEqual([])
    }
    await shop.sell({ number: '4001', paidDaysAgo: 31 })
    await shop.sell({ number: '4002', paidDaysAgo: 31, state: 'refunded' })
    await shop.again()
    expect(await shop.booked('4001')).toEqual([reward])
    expect(await shop.booked('4002')).toEqual([])
  })

  test('takes everything back when a fail comes after payment and goal', async () => {
    await shop.sell({ number: '5001' })
    await shop.report(success('5001', { goal_complete: '1' }))
    expect(await shop.booked('5001')).toEqual(paid)
    for (let repeat = 0; repeat < 2; repeat += 1) await shop.report(success('5001', { conversion: 'fail' }))
    const rows = await shop.booked('5001')
    expect(rows).toHaveLength(2 * paid.length)
    expect(sum(rows)).toBe(0)
  })

  test('takes the reward back when a fail comes after the payment and before the goal', async () => {
    await shop.sell({ number: '5002' })
    await shop.report(success('5002'))
    expect(await shop.booked('5002')).toEqual([reward])
    await shop.sell({ number: '5002', state: 'open' })
    await shop.report(success('5002', { goal_complete: '1' }))
    await shop.report(success('5002', { conversion: 'fail' }))
    await shop.sell({ number: '5002' })
    await shop.again()
    expect(await shop.booked('5002')).toEqual([reward, { kind: 'reward back', email: anna, cents: -1000 }])
  })

  test('pays nothing after a fail that came before the payment', async () => {
    await shop.sell({ number: '5003', state: 'open' })
    await shop.report(success('5003', { goal_complete: '1' }))
    await shop.report(success('5003', { conversion: 'fail' }))
    await shop.sell({ number: '5003' })
    await shop.again()
    expect(await shop.booked('5003')).toEqual([])
  })

  test('takes nothing back of a claim that a person gave the order to, when the one that had it fails', async () => {
    const bob = 'bob@shop.example'
    await shop.sell({ number: '5004' })
    await shop.report(success('5004'))
    await shop.report(success('5004', { referrer_email: bob }))
    await shop.move('5004')
    expect(await shop.booked('5004')).toEqual([{ ...reward, email: bob }])
    await shop.report(success('5004', { conversion: 'fail' }))
    expect(await shop.booked('5004')).toEqual([{ ...reward, email: bob }])
  })

  test('has a key by which one more bug cannot pay an order twice', async () => {
    await shop.sell({ number: '6001' })
    await shop.report(success('6001'))
    await expect(shop.book('6001', 'reward')).rejects.toThrow(/unique/i)
    expect(await shop.booked('6001')).toEqual([reward])
  })

  if (!recipe.name.startsWith('examples/')) {
    test('pays an order once that comes by two campaigns', async () => {
      await shop.sell({ number: '6002' })
      await shop.report(success('6002'), 'spring')
      await shop.report(success('6002'), 'autumn')
      expect(await shop.booked('6002')).toEqual([reward])
    })
  }
}

const onSqlite = recipes.filter(({ database }) => database === 'sqlite')
const onPostgres = recipes.filter(({ database }) => database === 'postgres')
const describeSqlite = hasSqlite ? describe : describe.skip
const describePostgres = hasPostgres ? describe : describe.skip

describeSqlite.each(onSqlite)('the recipe in $name', (recipe) => {
  const temporary = temporaryFolder()
  afterAll(() => temporary.remove())

  describe.each(['INTEGER', 'TEXT COLLATE NOCASE'])('with numbers that are %s', (numberType) => {
    withstands(recipe, numberType, () => Promise.resolve(temporary.file(`${numberType}.db`)))
  })
})

describePostgres('on PostgreSQL', () => {
  let server: Server
  beforeAll(async () => {
    server = await startServer()
  })
  afterAll(() => server.stop())

  let count = 0
  /** A database of its own in the server. */
  async function place() {
    const name = `shop_${String((count += 1))}`
    const client = new Client({ connectionString: server.url })
    await client.connect()
    await client.query(`CREATE DATABASE ${name}`)
    await client.end()
    return server.url.replace(/\/postgres$/, `/${name}`)
  }

  describe.each(onPostgres)('the recipe in $name', (recipe) => {
    describe.each(['bigint', 'text'])('with numbers that are %s', (numberType) => {
      withstands(recipe, numberType, place)
    })
  })
})
