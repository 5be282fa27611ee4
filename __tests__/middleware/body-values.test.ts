import { createHash } from 'node:crypto'
import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { readBody } from '../../lib/callback/request.js'
import { documentedNames } from '../../lib/callback/params.js'
import { startApp } from '../support/app.js'
import { params } from '../support/callbacks.js'
import { json, problemOf } from '../support/client.js'
import { recorder } from '../support/recorder.js'
import { closeServers } from '../support/servers.js'

/* Which JSON values are texts, and that nothing is ever an object, an array or a wrong number inside a conversion. */

afterEach(closeServers)

async function start() {
  const { handlers, told } = recorder()
  const { call } = await startApp(handlers)
  /** The parameters of the query stay out: the body holds some of the ten. */
  const post = (body: unknown) => call({}, json(body))
  return { post, last: () => told.at(-1)?.conversion }
}

test.each([
  ['an amount', { purchaseValue: 12.3 }, { purchaseValue: 12.3 }, '12.3'],
  ['an amount whose shortest form has an exponent', { purchaseValue: 1e-7 }, { purchaseValue: 1e-7 }, '0.0000001'],
  ['a negative amount', { purchaseValue: -5 }, { purchaseValue: -5 }, '-5'],
  ['zero, and not its negative', { purchaseValue: -0 }, { purchaseValue: 0 }, '0'],
])('a number is taken: %s', async (_what, changes, expected, text) => {
  const { post, last } = await start()
  expect((await post({ ...params(), ...changes })).status).toBe(200)
  expect(last()).toMatchObject(expected)
  expect(last()?.params.purchaseValue).toBe(text)
})

test('an order number is a text', async () => {
  const { post, last } = await start()
  expect((await post({ ...params(), orderID: 9_007_199_254_740_991 })).status).toBe(200)
  expect(last()?.orderId).toBe('9007199254740991')
})

test('null is absent', async () => {
  const { post, last } = await start()
  const reply = await post({ ...params(), referrer_name: null, purchaseValue: null, note: null })
  expect(reply.status).toBe(200)
  expect(last()?.referrer).not.toHaveProperty('name')
  expect(last()).not.toHaveProperty('purchaseValue')
  expect({ ...last()?.extra }).toEqual({})
})

test.each([
  [true, true],
  [false, false],
  [1, true],
  [0, false],
  ['1', true],
])('goal_complete may be %j', async (goal_complete, expected) => {
  const { post, last } = await start()
  expect((await post({ ...params(), goal_complete })).status).toBe(200)
  expect(last()?.goalComplete).toBe(expected)
})

test.each([
  ['an object', { orderID: { id: 'A-1' } }],
  ['an object in a list', { referee_email: [{ email: 'a@b.c' }] }],
  ['an empty list', { referrer_name: [] }],
  ['a boolean', { orderID: true }],
  ['a boolean amount', { purchaseValue: true }],
  ['a fraction as an order number', { orderID: 1.5 }],
  ['an order number that lost digits', '{"conversion":"success","orderID":12345678901234567890}'],
])('%s for one of the ten is refused', async (_what, changes) => {
  const { post, last } = await start()
  const reply = await post(typeof changes === 'string' ? changes : { ...params(), ...changes })
  expect(problemOf(reply)).toMatchObject({ status: 422, issues: [{ rule: 'type' }] })
  expect(last()).toBeUndefined()
})

test.each([
  ['an amount that lost digits', '{"conversion":"success","orderID":"A-1","purchaseValue":1234567890123456789}'],
  ['an amount beyond all numbers', '{"conversion":"success","orderID":"A-1","purchaseValue":1e999}'],
  ['two for goal_complete', { ...params(), goal_complete: 2 }],
])('%s is refused', async (_what, body) => {
  const { post, last } = await start()
  expect((await post(body)).status).toBe(422)
  expect(last()).toBeUndefined()
})

test('a name repeated with the same text is one, by its key or as a list', async () => {
  const { post, last } = await start()
  const body = '{"conversion":"success","orderID":"A-1","order\\u0049D":"A-1","referee_email":["a@b.c","a@b.c"]}'
  expect((await post(body)).status).toBe(200)
  expect(last()).toMatchObject({ orderId: 'A-1', referee: { email: 'a@b.c' } })
})

test.each([
  ['by its key', '{"conversion":"success","orderID":"A-1","orderID":"A-2"}'],
  ['as a list', '{"conversion":"success","orderID":["A-1","A-2"]}'],
  [
    'behind an object that repeats it too',
    '{"x":{"orderID":"A-3"},"orderID":"A-1","conversion":"fail","orderID":"A-2"}',
  ],
])('a name repeated with different texts is unreadable: %s', async (_how, body) => {
  const { post, last } = await start()
  expect(problemOf(await post(body))).toMatchObject({
    status: 400,
    issues: [{ parameter: 'orderID', rule: 'repeated' }],
  })
  expect(last()).toBeUndefined()
})

test('unknown parameters of any kind are texts, and names are never anything but names', async () => {
  const { post, last } = await start()
  const odd = '"__proto__":{"isAdmin":true},"constructor":"c","list":[1,{"a":2}],"flag":true,"amount":0.5'
  expect((await post(`${JSON.stringify(params()).slice(0, -1)},${odd}}`)).status).toBe(200)
  expect(Object.entries(last()?.extra ?? {})).toEqual([
    ['__proto__', '{"isAdmin":true}'],
    ['constructor', 'c'],
    ['list', '[1,{"a":2}]'],
    ['flag', 'true'],
    ['amount', '0.5'],
  ])
  expect({}).not.toHaveProperty('isAdmin')
})

test.each(['{', '{"conversion":"success"', "{'conversion':'success'}", '{"a":1}{"a":2}', 'conversion=success'])(
  '%s is no JSON: 400, whatever the query says',
  async (body) => {
    const { post } = await start()
    expect(problemOf(await post(body))).toMatchObject({ status: 400, issues: [{ rule: 'syntax' }] })
  },
)

test('a list or a text is no callback', async () => {
  const { call } = await startApp()
  for (const body of ['[{"conversion":"success"}]', '"conversion=success"', '1', 'null']) {
    expect((await call({ conversion: undefined, orderID: undefined }, json(body))).status).toBe(422)
  }
})

test('what is no JSON is received as length and hash: it may hold a secret in any encoding', async () => {
  const bytes = Buffer.from('{"token":"b64-of-24-random', 'utf16le')
  const headers = { 'content-type': 'application/json; charset=utf-16le' }
  const req = Object.assign(new IncomingMessage(new Socket()), { headers, body: bytes })
  expect(await readBody(req, documentedNames)).toEqual({
    pairs: [],
    issues: [{ rule: 'syntax', message: 'the body is not valid JSON' }],
    repairs: [],
    digest: { length: bytes.length, hash: createHash('sha256').update(bytes).digest('hex') },
  })
})
