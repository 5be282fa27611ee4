import { mkdirSync, writeFileSync } from 'node:fs'
import { conversionWebhook, isConversionWebhookError, memoryInbox } from '../lib/index.js'
import { postgresInbox } from '../lib/postgres.js'
import { sqliteInbox } from '../lib/sqlite.js'
import { callbackUrl, deliveries, sampleParams } from '../lib/testing.js'
import { hasSqlite, temporaryFolder } from './support/sqlite.js'

/* What a tired developer gets wrong: each mistake is told with what came and what to do, and never as another mistake. */

type Call = (...args: readonly unknown[]) => unknown
const webhook = conversionWebhook as unknown as Call
const sqlite = sqliteInbox as unknown as Call
const postgres = postgresInbox as unknown as Call

/** The message of the coded error that a call throws. */
function messageOf(call: () => unknown): string {
  try {
    call()
  } catch (error) {
    if (isConversionWebhookError(error)) return error.message
    throw error
  }
  throw new Error('nothing was thrown')
}

const withOptions = (options: object) => () => webhook({}, { secret: false, ...options })

test.each<[string, () => unknown, string | RegExp]>([
  [
    'options first',
    () => webhook({ secret: 'a-secret-of-sixteen' }),
    'secret is an option, and options come second: conversionWebhook({ onSuccess(conversion) { … } }, { secret }).',
  ],
  [
    'handlers second',
    withOptions({ onSuccess: () => undefined }),
    'onSuccess is a handler or observer, and those come first: conversionWebhook({ onSuccess() { … } }, options).',
  ],
  [
    'a handler that was called',
    () => webhook({ onSuccess: Promise.resolve() }),
    /^onSuccess must be a function .* not a promise\.$/,
  ],
  [
    'an observer as an event',
    () => conversionWebhook({}, { secret: false }).on('error' as never, () => undefined),
    'There is no event error: onError is an observer, and observers stand in the first argument of conversionWebhook.',
  ],
  [
    'an inbox that was not made',
    withOptions({ inbox: memoryInbox }),
    'inbox must be an inbox that was made, such as memoryInbox() or sqliteInbox(file), not a function.',
  ],
  [
    'fields the other way round',
    withOptions({ fields: { order_no: 'orderID' } }),
    "fields must map documented names to wire names, such as { orderID: 'order_no' }, and not the other way round.",
  ],
  [
    'statuses the other way round',
    withOptions({ statuses: { success: 'approved' } }),
    "statuses must map foreign words to statuses, such as { approved: 'success' }, and not the other way round.",
  ],
  [
    'a duration as text',
    withOptions({ handlerTimeoutMs: '30s' }),
    /^handlerTimeoutMs must be a whole number .* not a string\.$/,
  ],
  [
    'a database URL instead of options',
    () => postgres('postgres://localhost/shop'),
    'The argument of postgresInbox must be an object of options, not a string.',
  ],
  [
    'no options for PostgreSQL',
    () => postgres(),
    'The argument of postgresInbox must be an object of options, not undefined.',
  ],
  [
    'a database URL of a variable that is not set',
    () => postgres({ connectionString: undefined }),
    'connectionString must be a text, not undefined.',
  ],
  [
    'a misspelt option for PostgreSQL',
    () => postgres({ connectionUrl: 'postgres://x' }),
    /^There is no option connectionUrl; did you mean connectionString\?$/,
  ],
  [
    'a pool that is none',
    () => postgres({ pool: 'postgres://x' }),
    'pool must be a pool of the package pg, not a string.',
  ],
  [
    'a path of a variable that is not set',
    () => sqlite(undefined),
    /^sqliteInbox must get the path of a file, .* not undefined\.$/,
  ],
])('%s', (_what, call, message) => {
  if (typeof message === 'string') expect(messageOf(call)).toBe(message)
  else expect(messageOf(call)).toMatch(message)
})

describe('a schema', () => {
  const schemaError = (schema: object, options: object = {}) => messageOf(withOptions({ schema, ...options }))

  test.each([
    ['orderId', 'orderID'],
    ['orderid', 'orderID'],
    ['PurchaseValue', 'purchaseValue'],
    ['status', 'conversion'],
    ['goalComplete', 'goal_complete'],
    ['customValue', 'referrer_customValue'],
    ['conversions', 'referrer_converts'],
    ['referee', 'referee_email'],
  ])('that names %s means %s', (name, near) => {
    const message = `schema names ${name}, which no callback has: did you mean ${near}?`
    expect(schemaError({ required: [name] })).toBe(message)
    expect(schemaError({ properties: { [name]: { minLength: 1 } } })).toBe(message)
    expect(schemaError({ if: { required: ['campaign'] }, then: { allOf: [{ required: [name] }] } })).toBe(message)
  })

  test('judges renamed parameters by their documented names', () => {
    const fields = { orderID: 'order_no', referee_email: ['referee_email', 'friend'] }
    const message = 'schema names order_no, which no callback has: did you mean orderID?'
    expect(schemaError({ required: ['order_no'] }, { fields })).toBe(message)
    expect(withOptions({ schema: { required: ['orderID', 'referee_email'] }, fields })).not.toThrow()
  })

  test('may name any other parameter', () => {
    const names = ['campaign', 'order_id', 'Campaign', 'utm_source', 'scope', 'id', '__proto__']
    expect(withOptions({ schema: { required: names, properties: { 'order-id': {} } } })).not.toThrow()
  })

  test.each<[object, string]>([
    [{ purchaseValue: { type: 'number' } }, 'purchaseValue has the type number'],
    [{ purchaseValue: { type: ['integer', 'null'] } }, 'purchaseValue has the type integer'],
    [{ purchaseValue: { minimum: 10 } }, 'purchaseValue has minimum'],
    [{ campaign: { multipleOf: 2 } }, 'campaign has multipleOf'],
  ])('of numbers, %j, is told that parameters are texts', (properties, what) => {
    const says = `schema cannot work: ${what}, and every parameter is a text: use pattern or enum.`
    expect(schemaError({ properties })).toBe(says)
  })

  test('of texts may say so', () => {
    const properties = { orderID: { type: 'string' }, campaign: { type: ['string', 'null'], minLength: 2 } }
    expect(withOptions({ schema: { type: 'object', properties } })).not.toThrow()
  })

  test('that forbids what every callback has is told so', () => {
    const says =
      'schema cannot work: additionalProperties is false, and properties leaves conversion out, which every callback has.'
    expect(schemaError({ properties: { orderID: {} }, additionalProperties: false })).toBe(says)
    const patternProperties = { '^conv': {} }
    expect(withOptions({ schema: { additionalProperties: false, patternProperties } })).not.toThrow()
    expect(withOptions({ schema: { additionalProperties: false, properties: { conversion: {} } } })).not.toThrow()
  })

  test('of another library is told how to become one', () => {
    const zod = { '~standard': { vendor: 'zod' }, parse: () => undefined }
    expect(schemaError(zod)).toMatch(/^schema must be a synchronous JSON Schema object, .* not a schema of a library/)
  })
})

const describeSqlite = hasSqlite ? describe : describe.skip

describeSqlite('the path of a SQLite file', () => {
  let folder: ReturnType<typeof temporaryFolder>
  beforeEach(() => (folder = temporaryFolder()))
  afterEach(() => {
    folder.remove()
  })

  test('in a folder that does not exist', () => {
    const missing = folder.file('no')
    expect(messageOf(() => sqliteInbox(`${missing}/x.db`))).toBe(
      `The inbox cannot be opened: the folder ${missing} does not exist. Make it first.`,
    )
    expect(messageOf(() => sqliteInbox('no/such/x.db'))).toContain(`the folder no/such does not exist`)
  })

  test('that is a folder, or in a file', () => {
    mkdirSync(folder.file('data'))
    expect(messageOf(() => sqliteInbox(folder.file('data')))).toBe(
      `The inbox cannot be opened: ${folder.file('data')} is a folder. Give sqliteInbox the path of a file.`,
    )
    writeFileSync(folder.file('shop.db'), '')
    expect(messageOf(() => sqliteInbox(`${folder.file('shop.db')}/x.db`))).toBe(
      `The inbox cannot be opened: ${folder.file('shop.db')} is no folder.`,
    )
  })

  test.each([':memory:', 'file::memory:', 'file:shop?mode=memory&cache=shared'])('%s keeps nothing', (path) => {
    expect(messageOf(() => sqliteInbox(path))).toMatch(
      /a database in memory is lost with the process\. Give sqliteInbox the path of a file, or use memoryInbox\(\)\.$|^A file: URI/,
    )
  })

  test('whatever else is wrong with it, the message says it', () => {
    const uri = `file:${folder.file('none.db')}?mode=rw`
    expect(messageOf(() => sqliteInbox(uri))).toMatch(
      /^The inbox cannot be opened: unable to open database file\.$|^A file: URI/,
    )
  })
})

describe('confirm', () => {
  test.each<[unknown, RegExp]>([
    [1, /^confirm answered 1: return true or false, such as row\.paid === 1; or /],
    [0, /^confirm answered 0: return true or false, such as row\.paid === 1; or /],
    [undefined, /^confirm answered undefined: .*a forgotten return/],
    [null, /^confirm answered null: return true or false, such as row !== null; or /],
    ['true', /^confirm answered a string: return true or false/],
    [{ paid: 1 }, /^confirm answered an object: return true or false/],
    [[], /^confirm answered an array: return true or false/],
  ])('that answers %j is told what to return', async (answer, message) => {
    const errors: unknown[] = []
    const app = conversionWebhook(
      { onSuccess: () => undefined, onError: ({ error }) => errors.push(error) },
      { secret: false, confirm: (() => answer) as never },
    )
    await app.accept(sampleParams({ goal_complete: 0 })).catch(() => undefined)
    expect(errors).toEqual([expect.objectContaining({ message: expect.stringMatching(message) as unknown })])
    expect(String(errors[0])).toContain("'hold', a Date or { order }")
  })
})

describe('the tools for tests', () => {
  test('deliveries of something that is no inbox', async () => {
    await expect((deliveries as unknown as Call)({})).rejects.toThrow(
      'deliveries takes an inbox: deliveries(webhook.inbox).',
    )
  })

  test("sample parameters by the conversion's names", () => {
    expect(messageOf(() => sampleParams({ orderId: 'A-1' }))).toBe(
      'sampleParams must name parameters as they are documented: orderID, not orderId.',
    )
    expect(sampleParams({ campaign: 'spring' })).toMatchObject({ campaign: 'spring', orderID: 'ASDXXXXX' })
    expect(callbackUrl('/webhook', { orderID: 'A' })).toBe('/webhook?orderID=A')
  })
})
