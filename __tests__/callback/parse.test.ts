import { parseCallback, type CallbackInput, type Conversion, type Issue } from '../../lib/index.js'
import { params, query, sample, sampleConversion } from '../support/callbacks.js'
import { conversionOf, issuesOf, rulesOf } from '../support/parse.js'

const typed = ({ receivedAt, ...rest }: Conversion) => {
  expect(receivedAt).toBeInstanceOf(Date)
  return rest
}

describe('the documented example', () => {
  const url = `https://shop.example/webhook${query()}`
  const forms: Readonly<Record<string, CallbackInput>> = {
    'a query string with its question mark': query(),
    'a query string without it': query().slice(1),
    'a path': `/webhook/a-secret${query()}`,
    'a path that is only a slash': `/${query()}`,
    'a URL as text': url,
    'a URL as text in capitals': url.replace('https://', 'HTTPS://'),
    'a URL without TLS': url.replace('https', 'http'),
    'a URL': new URL(url),
    URLSearchParams: new URLSearchParams(params()),
    'a record of texts': sample,
    'a record of values': { ...sample, purchaseValue: 1000, referrer_converts: 2, goal_complete: true },
    'a record of bigints': { ...sample, purchaseValue: 1000n, referrer_converts: 2n, goal_complete: 1n },
    'a record of arrays of one': Object.fromEntries(Object.entries(sample).map(([name, text]) => [name, [text]])),
    'a record without a prototype': Object.assign(Object.create(null) as object, sample),
  }

  test.each(Object.entries(forms))('is read from %s', (_form, input) => {
    expect(typed(conversionOf(input))).toEqual(sampleConversion)
  })

  test('is read with percent escapes for every character', () => {
    const escaped = (text: string) =>
      Array.from(Buffer.from(text), (byte) => `%${byte.toString(16).padStart(2, '0')}`).join('')
    const pairs = Object.entries(sample).map(([name, text]) => `${escaped(name)}=${escaped(text)}`)
    expect(typed(conversionOf(pairs.join('&')))).toEqual(sampleConversion)
  })

  test('carries the scope and the time that the caller says', () => {
    const receivedAt = new Date('2026-01-02T03:04:05Z')
    const conversion = conversionOf(query(), { scope: 'spring', receivedAt })
    expect(conversion).toEqual({ ...sampleConversion, scope: 'spring', receivedAt })
  })
})

test.each(['', 'campaign=spring'])('extra, params and repairs are frozen, with %p', (more) => {
  const { extra, params: sent, repairs } = conversionOf(`${query()}&${more}`)
  expect([extra, sent, repairs].map(Object.isFrozen)).toEqual([true, true, true])
})

test('what was not sent is absent instead of undefined', () => {
  const conversion = conversionOf('conversion=fail&orderID=A')
  expect(typed(conversion)).toStrictEqual({
    status: 'fail',
    referrer: {},
    referee: {},
    orderId: 'A',
    goalComplete: false,
    scope: '',
    extra: Object.create(null) as object,
    params: { conversion: 'fail', orderID: 'A' },
    repairs: [],
  })
})

test('a text that holds no query holds no parameters', () => {
  const missing = [
    {
      rule: 'identity',
      message: 'orderID or referee_email must be present: without them conversions cannot be told apart',
    },
    { parameter: 'conversion', rule: 'required', message: 'conversion is missing' },
  ]
  for (const text of ['', '?', '/', '/webhook', 'https://shop.example/conversion=success&orderID=1']) {
    expect(issuesOf(text)).toEqual(missing)
  }
})

test('a text that starts like a name is a query, whatever question marks it holds', () => {
  expect(conversionOf('conversion=success&orderID=A?B&referrer_name=Who?')).toMatchObject({
    orderId: 'A?B',
    referrer: { name: 'Who?' },
  })
})

test('a URL ends with its query, not with its fragment', () => {
  const url = `https://shop.example/webhook?conversion=success&orderID=A#top`
  expect(conversionOf(new URL(url)).orderId).toBe('A')
})

test.each<[string, unknown]>([
  ['null', null],
  ['undefined', undefined],
  ['a number', 5],
  ['a boolean', true],
  ['a list', ['conversion=success']],
  ['a function', () => 'conversion=success'],
  ['a symbol', Symbol('x')],
  ['a map', new Map([['conversion', 'success']])],
  ['a date', new Date(0)],
])('%s is no callback and does not throw', (_what, input) => {
  expect(rulesOf(input as CallbackInput)).toEqual(['- identity', 'conversion required'])
})

describe('values of a record', () => {
  const refused: readonly (readonly [string, Readonly<Record<string, unknown>>, string])[] = [
    ['an object', { orderID: { a: 1 } }, 'orderID type'],
    ['an object that pretends to be a text', { orderID: { toString: () => 'A' } }, 'orderID type'],
    ['an object that cannot be written as JSON', { orderID: { big: 1n } }, 'orderID type'],
    ['an empty list', { orderID: [] }, 'orderID type'],
    ['a list in a list', { orderID: [['A']] }, 'orderID type'],
    ['a list with an object', { orderID: [{}] }, 'orderID type'],
    ['a boolean order', { orderID: true }, 'orderID type'],
    ['a boolean amount', { purchaseValue: false }, 'purchaseValue type'],
    ['a boolean status', { conversion: true }, 'conversion type'],
    ['a symbol', { orderID: Symbol('A') }, 'orderID type'],
    ['a function', { orderID: () => 'A' }, 'orderID type'],
    ['a date', { orderID: new Date(0) }, 'orderID type'],
    ['not a number', { purchaseValue: Number.NaN }, 'purchaseValue type'],
    ['infinity', { purchaseValue: Number.POSITIVE_INFINITY }, 'purchaseValue type'],
    ['a number that has lost digits as an order', { orderID: 9_007_199_254_740_992 }, 'orderID type'],
    ['a fraction as an order', { orderID: 1.5 }, 'orderID type'],
    ['a fraction as a name', { referrer_name: 0.1 }, 'referrer_name type'],
    ['a list of different texts', { orderID: ['A', 'B'] }, 'orderID repeated'],
    ['a fraction as a counter', { referrer_converts: 1.5 }, 'referrer_converts pattern'],
    ['a negative counter', { referrer_converts: -1 }, 'referrer_converts pattern'],
    ['another number as the goal', { goal_complete: 2 }, 'goal_complete enum'],
    ['an amount of 17 digits', { purchaseValue: 0.1 + 0.2 }, 'purchaseValue pattern'],
    ['an amount of 22 digits', { purchaseValue: 1e21 }, 'purchaseValue pattern'],
  ]
  test.each(refused)('%s is refused', (_what, changes, rule) => {
    expect(rulesOf({ ...sample, ...changes })).toEqual([rule])
  })

  const accepted: readonly (readonly [string, Readonly<Record<string, unknown>>, object])[] = [
    ['a safe number as an order', { orderID: Number.MAX_SAFE_INTEGER }, { orderId: '9007199254740991' }],
    ['a number as a name', { referee_name: 42 }, { referee: { name: '42' } }],
    ['a bigint as an order', { orderID: 2n ** 70n }, { orderId: '1180591620717411303424' }],
    ['an amount with cents', { purchaseValue: 12.34 }, { purchaseValue: 12.34 }],
    ['an amount below zero', { purchaseValue: -0.5 }, { purchaseValue: -0.5 }],
    ['an amount that JavaScript writes with an exponent', { purchaseValue: 1.25e-7 }, { purchaseValue: 1.25e-7 }],
    ['a tiny amount of one digit', { purchaseValue: 1e-10 }, { purchaseValue: 1e-10 }],
    ['minus zero', { purchaseValue: -0 }, { purchaseValue: 0 }],
    ['a list of equal texts', { orderID: ['A', 'A'] }, { orderId: 'A' }],
    ['a list with nulls', { orderID: [null, 'A', undefined] }, { orderId: 'A' }],
    ['false as the goal', { goal_complete: false }, { goalComplete: false }],
  ]
  test.each(accepted)('%s is accepted', (_what, changes, expected) => {
    expect(conversionOf({ ...sample, ...changes })).toMatchObject(expected)
  })

  test('null and undefined are absent', () => {
    const { orderId, referrer } = conversionOf({ ...sample, orderID: null, referrer_name: undefined })
    expect([orderId, referrer.name]).toEqual([undefined, undefined])
  })

  test('the goal is a text, a number or a boolean; the texts true and false are refused', () => {
    expect(rulesOf({ ...sample, goal_complete: 'true' })).toEqual(['goal_complete enum'])
    expect(rulesOf({ ...sample, goal_complete: 'false' })).toEqual(['goal_complete enum'])
  })

  test('of unknown parameters become texts, never objects', () => {
    const { extra } = conversionOf({
      ...sample,
      campaign: { id: 7 },
      tags: ['a', 'b'],
      count: 1e21,
      vip: true,
      big: 7n,
      cyclic: cyclic(),
      when: () => 0,
      gone: null,
    })
    expect(extra).toEqual({
      campaign: '{"id":7}',
      tags: '["a","b"]',
      count: '1000000000000000000000',
      vip: 'true',
      big: '7',
      cyclic: 'object',
      when: 'null',
    })
  })
})

function cyclic(): object {
  const list: unknown[] = []
  list.push(list)
  return list
}

test('names that objects use themselves are just unknown names', () => {
  const names = ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', 'orderID[]', 'orderID[$gt]']
  const text = `conversion=success&orderID=A&${names.map((name) => `${encodeURIComponent(name)}=x`).join('&')}`
  const record = JSON.parse(
    `{"conversion":"success","orderID":"A",${names.map((name) => `"${name}":"x"`).join(',')}}`,
  ) as Record<string, unknown>
  for (const input of [text, record]) {
    const { extra, orderId } = conversionOf(input)
    expect(Object.entries(extra)).toEqual(names.map((name) => [name, 'x']))
    expect(orderId).toBe('A')
  }
  expect(Object.prototype).not.toHaveProperty('x')
  expect({}).not.toHaveProperty('orderID')
})

test('inherited names are no parameters', () => {
  expect(rulesOf(Object.create(sample) as CallbackInput)).toEqual(['- identity', 'conversion required'])
})

test('a refusal has issues and no conversion', () => {
  const result = parseCallback('conversion=maybe')
  expect(result).toEqual({ ok: false, issues: expect.any(Array) as Issue[] })
})
