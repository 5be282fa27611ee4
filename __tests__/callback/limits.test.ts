import { conversionOf, issuesOf, rulesOf } from '../support/parse.js'

const base = 'conversion=success&orderID=A'

describe('size', () => {
  const filled = (length: number) => `${base}&pad=${'x'.repeat(length - base.length - '&pad='.length)}`

  test('65,536 characters are read, one more is not', () => {
    expect(conversionOf(filled(65_536)).extra.pad).toHaveLength(65_536 - base.length - 5)
    expect(issuesOf(filled(65_537))).toEqual([{ rule: 'size', message: 'must be at most 65536 bytes' }])
  })
})

describe('count', () => {
  const many = (count: number) => `${base}${'&a=1'.repeat(count - 2)}`

  test('1,000 parameters are read, one more is not', () => {
    expect(conversionOf(many(1_000)).extra).toEqual({ a: '1' })
    expect(issuesOf(many(1_001))).toEqual([{ rule: 'count', message: 'must be at most 1000 parameters' }])
    expect(conversionOf(new URLSearchParams(many(1_000))).extra).toEqual({ a: '1' })
    expect(rulesOf(new URLSearchParams(many(1_001)))).toEqual(['- count'])
  })

  test('nothing between two & is no parameter', () => {
    expect(conversionOf(`&&${base}${'&'.repeat(5_000)}`).extra).toEqual({})
  })
})

describe('repetition', () => {
  test('a known name with one text is one parameter, with two it is unreadable', () => {
    expect(conversionOf(`${base}&orderID=A`).orderId).toBe('A')
    expect(issuesOf(`${base}&orderID=B&orderID=C`)).toEqual([
      { parameter: 'orderID', rule: 'repeated', message: 'orderID was sent twice with different texts' },
    ])
    expect(rulesOf(`${base}&orderID=`)).toEqual(['orderID repeated'])
    expect(rulesOf(`${base}&orderID=a`)).toEqual(['orderID repeated'])
  })

  test('the same text in two encodings is one', () => {
    expect(conversionOf(`${base}&order%49D=%41`).orderId).toBe('A')
  })

  test('of an unknown name the first text stays', () => {
    expect(conversionOf(`${base}&campaign=spring&campaign=autumn`).extra).toEqual({ campaign: 'spring' })
  })
})

test('a name without = has an empty text', () => {
  expect(conversionOf(`${base}&flag&=nameless&empty=`).extra).toEqual({ flag: '', '': 'nameless', empty: '' })
  expect(rulesOf('conversion&orderID=A')).toEqual(['conversion required'])
})

test('the first = divides', () => {
  expect(conversionOf(`${base}&referrer_name=a=b==`).referrer.name).toBe('a=b==')
})

test('names are matched exactly', () => {
  const { extra, orderId } = conversionOf(`${base}&OrderID=B&orderId=C&order_id=D& orderID=E`)
  expect([orderId, extra]).toEqual(['A', { OrderID: 'B', orderId: 'C', order_id: 'D', ' orderID': 'E' }])
})

test('what cannot be read is told without what could be refused', () => {
  expect(rulesOf('conversion=maybe&orderID=%zz&purchaseValue=x')).toEqual(['orderID escape'])
})
