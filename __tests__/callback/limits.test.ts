import { createHash } from 'node:crypto'
import { escapeHighBytes } from '../../lib/util/decoding.js'
import { jsonEntries } from '../../lib/callback/json.js'
import { documentedNames, readQuery } from '../../lib/callback/params.js'
import { readValues } from '../../lib/callback/values.js'
import { conversionOf, issuesOf, rulesOf } from '../support/parse.js'

const base = 'conversion=success&orderID=A'

describe('size', () => {
  const escaped = (bytes: number) => {
    const free = bytes - `${base}&pad=`.length
    return `${base}&pad=${'x'.repeat(free % 3)}${'%41'.repeat(free / 3)}`
  }
  const padded = (characters: number, pad = 'x') =>
    `${base}&pad=${pad.repeat(characters - 'conversionsuccessorderIDApad'.length)}`
  const tooManyBytes = { rule: 'size', message: 'must be at most 65536 bytes' }
  const tooManyCharacters = { rule: 'size', message: 'must be at most 16384 characters' }

  test('16,384 characters of names and texts are read, one more is not', () => {
    expect(conversionOf(padded(16_384)).extra.pad).toHaveLength(16_384 - 28)
    expect(issuesOf(padded(16_385))).toEqual([tooManyCharacters])
    const values = (characters: number) => Object.fromEntries(new URLSearchParams(padded(characters)))
    for (const make of [values, (characters: number) => new URLSearchParams(padded(characters))]) {
      expect(conversionOf(make(16_384)).extra.pad).toHaveLength(16_384 - 28)
      expect(issuesOf(make(16_385))).toEqual([tooManyCharacters])
    }
  })

  test('a character of two units is one', () => {
    expect(conversionOf(padded(16_384, '😀')).extra.pad).toHaveLength(2 * (16_384 - 28))
    expect(issuesOf(padded(16_385, '😀'))).toEqual([tooManyCharacters])
  })

  test('65,536 characters of a query are looked at, of one more none', () => {
    expect(issuesOf(escaped(65_536))).toEqual([tooManyCharacters])
    expect(issuesOf(escaped(65_537))).toEqual([tooManyBytes])
    const entities = (bytes: number) => `${base}${'&'.repeat(bytes - base.length)}`
    expect(conversionOf(entities(65_536)).orderId).toBe('A')
    expect(issuesOf(entities(65_537))).toEqual([tooManyBytes])
  })

  test('bytes that came as they are count as one each, not as their escapes', () => {
    const text = `${base}&pad=${'é'.repeat(16_384 - 28)}`
    const bytes = Buffer.from(text)
    const { pairs, digest } = readQuery(escapeHighBytes(bytes.toString('latin1')), documentedNames, { sent: bytes })
    expect([pairs.at(-1)?.[1].length, digest]).toEqual([16_384 - 28, undefined])
  })

  test('an object of an unknown name counts by its text', () => {
    const nested = (characters: number) => ({
      conversion: 'success',
      orderID: 'A',
      pad: [{ a: 'x'.repeat(characters - 28 - '[{"a":""}]'.length) }],
    })
    expect(conversionOf(nested(16_384)).extra.pad).toHaveLength(16_384 - 28)
    expect(issuesOf(nested(16_385))).toEqual([tooManyCharacters])
    expect(issuesOf(nested(7_000_000))).toEqual([tooManyCharacters])
  })

  test('what is beyond is not walked to its end', () => {
    let walked = 0
    const many = Object.defineProperties(
      {},
      Object.fromEntries(
        Array.from({ length: 100_000 }, (_, at) => {
          const get = () => walked++
          return [`a${String(at)}`, { get, enumerable: true }]
        }),
      ),
    )
    expect(issuesOf({ conversion: 'success', orderID: 'A', many })).toEqual([tooManyCharacters])
    expect(walked).toBeLessThan(16_384)
  })
})

describe('count', () => {
  const many = (count: number) => `${base}${'&a=1'.repeat(count - 2)}`
  const tooMany = { rule: 'count', message: 'must be at most 100 parameters' }

  test('100 parameters are read, one more is not', () => {
    expect(conversionOf(many(100)).extra).toEqual({ a: '1' })
    expect(issuesOf(many(101))).toEqual([tooMany])
    expect(conversionOf(new URLSearchParams(many(100))).extra).toEqual({ a: '1' })
    expect(issuesOf(new URLSearchParams(many(101)))).toEqual([tooMany])
    const record = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, at) => [`a${String(at)}`, 1]))
    expect(conversionOf({ conversion: 'success', orderID: 'A', ...record(98) }).extra).toHaveProperty('a97', '1')
    expect(issuesOf({ conversion: 'success', orderID: 'A', ...record(99) })).toEqual([tooMany])
  })

  test('a second query is parameters of its own', () => {
    const second = (count: number) => `token=x?${many(count - 1)}`
    expect(conversionOf(second(100)).extra.token).toBe('x')
    expect(issuesOf(second(101))).toEqual([tooMany])
  })

  test.each(['orderID', 'list'])('elements of an array count, of %s too', (name) => {
    const list = (length: number) => ({ conversion: 'success', orderID: 'A', [name]: Array<string>(length).fill('A') })
    const others = name === 'orderID' ? 1 : 2
    expect(conversionOf(list(100 - others)).orderId).toBe('A')
    expect(issuesOf(list(101 - others))).toEqual([tooMany])
    expect(issuesOf({ conversion: 'success', orderID: 'A', [name]: [[...Array<null>(101).fill(null)]] })).toEqual([
      tooMany,
    ])
  })

  test('what is absent counts, so that nobody is kept busy with it', () => {
    expect(issuesOf({ conversion: 'success', orderID: Array<null>(1_000_000).fill(null) })).toEqual([tooMany])
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

describe('what is beyond a limit is received', () => {
  const sha256 = (sent: string | Buffer) => createHash('sha256').update(sent).digest('hex')
  const issues = [{ rule: 'count', message: 'must be at most 100 parameters' }]

  test('as length and hash of a query', () => {
    const query = `${base}${'&é=%'.repeat(99)}`
    const digest = { length: query.length, hash: sha256(query) }
    expect(readQuery(query, documentedNames)).toEqual({ pairs: [], issues, repairs: [], digest })
  })

  test('as length and hash of a body', () => {
    const sent = Buffer.from(JSON.stringify({ conversion: 'success', é: Array(100).fill(0) }))
    const digest = { length: sent.length, hash: sha256(sent) }
    const values = readValues(jsonEntries(sent.toString()), documentedNames, { sent })
    expect(values).toEqual({ pairs: [], issues, repairs: [], digest })
  })

  test('as length and hash of the values that were read until then', () => {
    const read = (text: string) => readValues(Object.entries({ orderID: 'A', text }), documentedNames)
    const [one, other] = [read('a'.repeat(7_000_000)), read('b'.repeat(7_000_000))]
    expect(one).toMatchObject({ pairs: [], issues: [{ rule: 'size' }], digest: { length: 7_000_000 + 12 } })
    expect(one.digest?.hash).toMatch(/^[0-9a-f]{64}$/)
    expect(one.digest).toEqual(read('a'.repeat(7_000_000)).digest)
    expect(other.digest?.hash).not.toBe(one.digest?.hash)
  })
})

describe('issues', () => {
  test('are one a parameter', () => {
    expect(rulesOf({ conversion: 'success', orderID: Array<object>(90).fill([]) })).toEqual(['orderID type'])
    expect(rulesOf(`conversion=success${'&orderID=%E9'.repeat(50)}${'&referee_email=%'.repeat(40)}`)).toEqual([
      'orderID escape',
      'referee_email escape',
    ])
  })

  test('of a schema too, and those about no parameter once', () => {
    const schema = {
      properties: { conversion: {}, orderID: { minLength: 9, pattern: '^x', enum: ['y'] } },
      additionalProperties: false,
      propertyNames: { pattern: '^(?:conversion|orderID)$' },
    }
    const issues = issuesOf({ conversion: 'success', orderID: 'A', a: '1', b: '2', c: '3' }, { schema })
    expect(issues.filter(({ parameter }) => parameter === 'orderID')).toHaveLength(1)
    expect(new Set(issues.map(({ message }) => message)).size).toBe(issues.length)
  })

  test('are 20 at most', () => {
    const names = Array.from({ length: 60 }, (_, at) => `field${String(at)}`)
    const schema = { properties: Object.fromEntries(names.map((name) => [name, {}])), required: names }
    const issues = issuesOf(base, { schema })
    expect(issues.map(({ parameter }) => parameter)).toEqual(names.slice(0, 20))
  })
})

test('repairs are one of a kind a parameter', () => {
  const { repairs } = conversionOf(
    `${base}${'&amp;a=%'.repeat(40)}${'&%E9=%E9'.repeat(40)}&amp;orderID=A&amp;orderID=A`,
  )
  expect(repairs).toEqual([
    { parameter: 'a', kind: 'amp-entity' },
    { parameter: 'a', kind: 'charset' },
    { parameter: 'é', kind: 'charset' },
    { parameter: 'orderID', kind: 'amp-entity' },
  ])
})
