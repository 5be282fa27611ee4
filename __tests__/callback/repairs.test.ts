import { query } from '../support/callbacks.js'
import { conversionOf, rulesOf } from '../support/parse.js'

/* Every repair, what it changes and what it leaves alone. Nothing else is ever "fixed". */

const base = 'conversion=success&orderID=A'
const repairsOf = (text: string) => conversionOf(text).repairs

test('a callback in good order has no repairs', () => {
  expect(repairsOf(query())).toEqual([])
})

describe('charset', () => {
  const cases: readonly (readonly [string, string, string])[] = [
    ['windows-1252 is not UTF-8', 'Zo%EB', 'Zoë'],
    ['windows-1252 has signs of its own', '%80%20%93quoted%94', '€ “quoted”'],
    ['a stray % stays', '100% sure', '100% sure'],
    ['a % at the end stays', '5%', '5%'],
    ['a % before one digit stays', '5%4', '5%4'],
    ['a stray % beside an escape', '100%20%', '100 %'],
    ['both at once', '%E9 %zz', 'é %zz'],
    ['UTF-8 that is cut off', 'Zo%C3', 'ZoÃ'],
  ]
  test.each(cases)('%s in a name or the custom value', (_what, raw, text) => {
    for (const name of ['referrer_name', 'referee_name', 'referrer_customValue']) {
      const { params, repairs } = conversionOf(`${base}&${name}=${raw}`)
      expect(params[name]).toBe(text)
      expect(repairs).toEqual([{ parameter: name, kind: 'charset' }])
    }
  })

  test.each(cases)('%s in an unknown parameter', (_what, raw, text) => {
    const { extra, repairs } = conversionOf(`${base}&campaign=${raw}`)
    expect(extra.campaign).toBe(text)
    expect(repairs).toEqual([{ parameter: 'campaign', kind: 'charset' }])
  })

  test.each(['%E9', '5%', '%zz', '%C3'])('%s in any other parameter is unreadable', (raw) => {
    for (const name of ['referrer_email', 'purchaseValue', 'referrer_converts', 'goal_complete', 'referee_email']) {
      expect(rulesOf(`${base}&${name}=${raw}`)).toEqual([`${name} escape`])
    }
    expect(rulesOf(`conversion=${raw}&orderID=A`)).toEqual(['conversion escape'])
    expect(rulesOf(`conversion=success&orderID=${raw}`)).toEqual(['orderID escape'])
  })

  test('is done once: an escaped escape stays one', () => {
    expect(conversionOf(`${base}&referrer_name=%2541`)).toMatchObject({ referrer: { name: '%41' }, repairs: [] })
  })
})

describe('plus', () => {
  test.each([
    ['bob tag@x.de', 'bob+tag@x.de'],
    ['bob+tag@x.de', 'bob+tag@x.de'],
    ['+bob+a+b@x.de+', 'bob+a+b@x.de'],
  ])('%s is %s', (raw, email) => {
    for (const name of ['referrer_email', 'referee_email']) {
      const { params, repairs } = conversionOf(`${base}&${name}=${raw}`)
      expect(params[name]?.trim()).toBe(email)
      expect(repairs).toEqual([{ parameter: name, kind: 'plus' }])
    }
  })

  test('an encoded + needs none', () => {
    const { referee, repairs } = conversionOf(`${base}&referee_email=bob%2Btag%40x.de`)
    expect([referee.email, repairs]).toEqual(['bob+tag@x.de', []])
  })

  test.each(['bob@x de', '"a b"@x.de', 'no address', 'a@b c@d'])('%s is refused', (raw) => {
    expect(rulesOf(`${base}&referee_email=${raw}`)).toEqual(['referee_email pattern'])
  })

  test('a space anywhere else stays one', () => {
    const { referrer, extra, repairs } = conversionOf(`${base}&referrer_name=a+b%40c&email=a+b@c`)
    expect([referrer.name, extra.email, repairs]).toEqual(['a b@c', 'a b@c', []])
  })
})

describe('second-question-mark', () => {
  const repair = { parameter: 'conversion', kind: 'second-question-mark' }

  test('what was appended to a URL with a query is split there', () => {
    const { extra, status, repairs } = conversionOf(`campaign=spring?${base}`)
    expect([extra, status, repairs]).toEqual([{ campaign: 'spring' }, 'success', [repair]])
  })

  test('the part before it may hold several parameters, or none', () => {
    expect(conversionOf(`a=1&b=2?${base}`).extra).toEqual({ a: '1', b: '2' })
    expect(conversionOf(`flag?${base}`).extra).toEqual({ flag: '' })
    expect(conversionOf(`??${base}`)).toMatchObject({ extra: {}, repairs: [repair] })
  })

  test('a text with a question mark of its own keeps it', () => {
    expect(conversionOf(`next=/cart?step=2?${base}`).extra).toEqual({ next: '/cart?step=2' })
  })

  test('is found behind an encoded name', () => {
    expect(conversionOf(`a=1?%63onversion=success&orderID=A`)).toMatchObject({ extra: { a: '1' }, repairs: [repair] })
  })

  test('is repaired once', () => {
    const { extra, repairs } = conversionOf(`a=1?${base}&b=2?orderID=A`)
    expect([extra, repairs]).toEqual([{ a: '1', b: '2?orderID=A' }, [repair]])
  })

  test('a known parameter before it is not split: its text may hold a question mark', () => {
    const { referrer, repairs } = conversionOf(`${base}&referrer_name=Who?orderID=B`)
    expect([referrer.name, repairs]).toEqual(['Who?orderID=B', []])
  })

  test('nor is one without a text, or one that HTML escaped', () => {
    expect(conversionOf(`${base}&referrer_name?orderID=B`)).toMatchObject({
      orderId: 'A',
      extra: { 'referrer_name?orderID': 'B' },
      repairs: [],
    })
    expect(conversionOf(`${base}&amp;referrer_name=Who?orderID=B`)).toMatchObject({
      referrer: { name: 'Who?orderID=B' },
      repairs: [{ parameter: 'referrer_name', kind: 'amp-entity' }],
    })
  })

  test('what stands before it may be damaged', () => {
    const { extra, repairs } = conversionOf(`x%=?%=%?${base}`)
    expect([extra, repairs]).toEqual([{ 'x%': '?%=%' }, [repair, { parameter: 'x%', kind: 'charset' }]])
  })

  test('an unknown name behind it is no second query', () => {
    expect(conversionOf(`${base}&next=/cart?step=2`)).toMatchObject({ extra: { next: '/cart?step=2' }, repairs: [] })
    expect(conversionOf(`${base}&next=/cart?orderID`)).toMatchObject({ extra: { next: '/cart?orderID' }, repairs: [] })
  })
})

describe('amp-entity', () => {
  test('names that an HTML page escaped', () => {
    const { orderId, extra, repairs } = conversionOf('conversion=success&amp;orderID=A&amp;campaign=spring')
    expect([orderId, extra]).toEqual(['A', { campaign: 'spring' }])
    expect(repairs).toEqual([
      { parameter: 'orderID', kind: 'amp-entity' },
      { parameter: 'campaign', kind: 'amp-entity' },
    ])
  })

  test('other entities and texts are left alone', () => {
    const { extra, referrer, repairs } = conversionOf(`${base}&AMP;x=1&lt;=2&referrer_name=amp;orderID`)
    expect([extra, referrer.name, repairs]).toEqual([{ 'AMP;x': '1', 'lt;': '2' }, 'amp;orderID', []])
  })
})

test('several repairs are reported together', () => {
  expect(repairsOf(`a=1?conversion=success&amp;orderID=A&referrer_name=%E9&referee_email=a+b@c`)).toEqual([
    { parameter: 'conversion', kind: 'second-question-mark' },
    { parameter: 'orderID', kind: 'amp-entity' },
    { parameter: 'referrer_name', kind: 'charset' },
    { parameter: 'referee_email', kind: 'plus' },
  ])
})
