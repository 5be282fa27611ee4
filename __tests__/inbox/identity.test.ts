import { callbackOf } from '../support/ledger.js'
import { hashOf } from '../../lib/util/hash-of.js'
import { emailKey, identityOf } from '../../lib/inbox/claims.js'

const identity = (changes: Readonly<Record<string, string | undefined>>, scope = '') =>
  identityOf({ ...callbackOf('success', changes), scope })

const withoutOrder = { orderID: undefined, referrer_email: 'ann@example.com', referee_email: 'bob@example.com' }

describe('with an orderID the identity', () => {
  const order = identity({ orderID: 'Order é' })

  test.each([
    ['other spaces around it', { orderID: '  Order é\t' }],
    ['the same letters composed otherwise', { orderID: 'Order e\u0301' }],
    ['other e-mail addresses', { orderID: 'Order é', referrer_email: 'x@y.de', referee_email: undefined }],
    [
      'other names, amounts, counters and custom values',
      {
        orderID: 'Order é',
        referrer_name: 'Ann',
        referee_name: 'Bob',
        purchaseValue: '1',
        referrer_converts: '9',
        referrer_customValue: 'z',
        goal_complete: '1',
        conversion: 'fail',
      },
    ],
  ])('is the same for %s', (_what, changes) => {
    expect(identity(changes)).toBe(order)
  })

  test.each([
    ['another case', { orderID: 'order é' }],
    ['another letter', { orderID: 'Order e' }],
    ['a letter that only looks alike', { orderID: 'Ordеr é' }],
    ['a compatibility form', { orderID: 'Order é'.replace('O', 'Ｏ') }],
    ['spaces inside', { orderID: 'Order  é' }],
  ])('is another for %s', (_what, changes) => {
    expect(identity(changes)).not.toBe(order)
  })

  test('is another in another scope, whose case counts', () => {
    const scopes = ['', 'spring', 'Spring', 'spring/']
    expect(new Set(scopes.map((scope) => identity({ orderID: 'A' }, scope))).size).toBe(scopes.length)
  })
})

describe('without an orderID the identity', () => {
  const emails = identity(withoutOrder)

  test('is made of both e-mail addresses, trimmed and in any case', () => {
    const written = { ...withoutOrder, referrer_email: ' ANN@example.com', referee_email: 'Bob@Example.COM ' }
    expect(identity(written)).toBe(emails)
  })

  test.each([
    ['composed otherwise', 'jos\u00e9@b\u00fccher.example', 'jose\u0301@bu\u0308cher.example'],
    ['in capitals', 'jos\u00e9@b\u00fccher.example', 'JOS\u00c9@B\u00dcCHER.EXAMPLE'],
    ['whose capitals have another length', '\u0390@shop.example', '\u0399\u0308\u0301@SHOP.EXAMPLE'],
    ['composed otherwise and in capitals', 'jos\u00e9@b\u00fccher.example', 'JOSE\u0301@BU\u0308CHER.EXAMPLE'],
  ])('is the same for an address %s', (_what, one, other) => {
    expect(identity({ ...withoutOrder, referee_email: other })).toBe(identity({ ...withoutOrder, referee_email: one }))
    expect(emailKey(other)).toBe(emailKey(one))
  })

  test.each([
    ['another referee', { referee_email: 'carl@example.com' }],
    ['another referrer', { referrer_email: 'carl@example.com' }],
    ['no referrer', { referrer_email: undefined }],
    ['the two in each other’s place', { referrer_email: 'bob@example.com', referee_email: 'ann@example.com' }],
  ])('is another for %s', (_what, changes) => {
    expect(identity({ ...withoutOrder, ...changes })).not.toBe(emails)
  })

  test('is another in another scope', () => {
    expect(identity(withoutOrder, 'spring')).not.toBe(emails)
  })

  test('is not that of an order which is called like the referee', () => {
    const registration = identity({ ...withoutOrder, orderID: 'bob@example.com' })
    expect(registration).not.toBe(emails)
    expect(registration).not.toBe(identity({ ...withoutOrder, referrer_email: undefined }))
  })
})

test('parts that give the same string when joined give different hashes', () => {
  expect(hashOf(['ab', 'c'])).not.toBe(hashOf(['a', 'bc']))
  expect(hashOf(['a1:b'])).not.toBe(hashOf(['a', 'b']))
  expect(hashOf(['', 'a'])).not.toBe(hashOf(['a', '']))
  expect(hashOf(['a'])).not.toBe(hashOf(['a', '']))
  expect(hashOf(['é'])).not.toBe(hashOf(['Ã©']))
  expect(identity({ orderID: '1:x' }, 'a')).not.toBe(identity({ orderID: 'x' }, 'a1:'))
})

test('the id shows nothing of its parts, and is the same in every release', () => {
  expect(identity({ orderID: 'ASDXXXXX' })).toMatch(/^[0-9a-f]{40}$/)
  // Changing these makes every recorded conversion new: a migration, not a refactoring.
  expect(identity({ orderID: 'ASDXXXXX' }, 'spring')).toBe('63ea718fc77a242fcbd134a151e16765d58e27d1')
  expect(identity(withoutOrder)).toBe('786c5bbf0def890d140463384ce185844590e1a5')
})
