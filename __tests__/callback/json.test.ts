import fc from 'fast-check'
import { jsonEntries } from '../../lib/callback/json.js'
import { cases } from '../support/cases.js'

/* The members of an object as JSON.parse reads them, but none lost. */

const entriesOf = (text: string) => Array.from(jsonEntries(text))

test('repeated names are entries of their own, in their order', () => {
  expect(entriesOf(' {"a":1, "b" :{"a":[2,"}"]},"\\u0061": "\\"," , "1":null,"a":[]}\n')).toEqual([
    ['a', 1],
    ['b', { a: [2, '}'] }],
    ['a', '",'],
    ['1', null],
    ['a', []],
  ])
})

test.each(['{}', ' { \t\r\n} ', '[]', '[{"a":1}]', '"{\\"a\\":1}"', '5', 'null', ' true'])('%j has none', (text) => {
  expect(entriesOf(text)).toEqual([])
})

test.each([
  ...[
    '',
    ' ',
    '{',
    '}',
    '{}}',
    '{} x',
    '{}\u00a0',
    '{,}',
    '{"a"}',
    '{"a":}',
    '{"a":1,}',
    '{"a":1',
    '{"a":1}}',
    '{"a":1} 2',
  ],
  ...[
    '{"a":1}\u00a0',
    '{a:1}',
    '{1:1}',
    '{null:1}',
    '{"a":1 2}',
    '{"a":[}',
    '{"a":{]}',
    '{"a":1]}',
    '{"a"::1}',
    '{"a":1:2}',
  ],
  ...[
    '{"a","b":1}',
    '{"a":"}',
    '{"a":"\\"}',
    '{"a":"\n"}',
    '\u00a0{"a":1}',
    '\ufeff{"a":1}',
    '{[]:1}',
    '{{}:1}',
    '[',
    'x',
  ],
])('%j is no JSON', (text) => {
  expect(() => JSON.parse(text) as unknown).toThrow(SyntaxError)
  expect(() => entriesOf(text)).toThrow(SyntaxError)
})

test('any object has its members, however it is written', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue()), fc.nat(4), (object, blanks) => {
      const text = JSON.stringify(object, undefined, blanks)
      expect(Object.fromEntries(entriesOf(text))).toEqual(JSON.parse(text))
    }),
  )
})

test('a text is no JSON for it when it is none for JSON.parse', () => {
  const pieces = ['{', '}', '[', ']', ':', ',', '"', '"a"', '\\', '1', 'null', ' ', 'e', '-']
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...pieces), { maxLength: 12 }), (some) => {
      const text = `{"a":${some.join('')}`
      expect(isRead(() => entriesOf(text))).toBe(isRead(() => JSON.parse(text) as unknown))
    }),
    { numRuns: cases(5_000) },
  )
})

function isRead(read: () => unknown): boolean {
  try {
    read()
    return true
  } catch {
    return false
  }
}
