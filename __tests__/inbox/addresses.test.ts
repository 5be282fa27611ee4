import fc from 'fast-check'
import { addressFinder } from '../../lib/inbox/operators/addresses.js'
import { addresses, spellings, surroundings } from '../support/addresses.js'
import { expectLinear, filled } from '../support/linear.js'

/* Where an address is found: as a whole in an e-mail parameter, anywhere in another text. */

const inText = (address: string, text: string) => addressFinder([address])({ emails: [], others: [text] })
const asEmail = (address: string, text: string) => addressFinder([address])({ emails: [text], others: [] })

describe.each(addresses)('%s', (address) => {
  test.each(Object.entries(spellings))('is found in a text %s, whatever stands around it', (_what, spell) => {
    for (const surround of Object.values(surroundings)) {
      const text = surround(spell(address))
      expect([text, inText(address, text)]).toEqual([text, true])
    }
  })

  test('is found in an e-mail parameter in any case and spelling; a longer address is another person’s', () => {
    if (address.includes(' ')) return // no e-mail parameter has one
    for (const same of [address, ` ${address}\t`, address.normalize('NFD'), address.toLowerCase()]) {
      expect([same, asEmail(address, same)]).toEqual([same, true])
    }
    for (const other of [`x${address}`, `_${address}`, `mary-${address}`, `${address}-old`, `${address}.org`]) {
      expect([other, asEmail(address, other)]).toEqual([other, false])
    }
  })
})

test.each([
  ['two addresses', 'mary@example.com,jane@example.com'],
  ['an encoded one', 'jane%40example.com'],
  ['more than an address', 'Jane <jane@example.com>'],
])('%s in an e-mail parameter, which was refused, is another text', (_what, text) => {
  expect(asEmail('jane@example.com', text)).toBe(true)
  expect(asEmail('john@example.com', text)).toBe(false)
})

test.each([
  ['angle brackets', '<jane@example.com>'],
  ['a name', 'Jane<jane@example.com>'],
  ['a scheme', 'mailto:jane@example.com'],
  ['quotation marks', '"jane@example.com"'],
  ['apostrophes', "'jane@example.com'"],
  ['a comma', 'jane@example.com,'],
  ['a full stop', 'jane@example.com.'],
  ['an invisible mark', '\u200Bjane@example.com\u200B'],
  ['what was appended with a second ?', 'jane@example.com?source=app'],
  ['encoded brackets', '%3Cjane@example.com%3E'],
  ['an encoded letter', 'j%61ne@example.com'],
  ['an encoded address of another', 'mary@example.com,jane%40example.com'],
])('%s around the address in an e-mail parameter, which is accepted so, hides nothing', (_what, text) => {
  expect(asEmail('jane@example.com', text)).toBe(true)
  for (const other of ['ane@example.com', 'jane@example.co', 'xjane@example.com'])
    expect([other, asEmail(other, text)]).toEqual([other, false])
})

test.each(["o'jane@example.com", 'mary+jane@example.com', 'mary%2Bjane@example.com', 'a=jane@example.com'])(
  'the address %p ends like that of another person, who is not meant',
  (text) => {
    expect(asEmail('jane@example.com', text)).toBe(false)
  },
)

test('characters that JSON writes as \\uXXXX, and full-width characters, are found', () => {
  expect(inText('josé@example.com', '{"email":"jos\\u00e9@example.com"}')).toBe(true)
  expect(inText('josé@example.com', '%7B%22email%22%3A%22jos%5Cu00E9%40example.com%22%7D')).toBe(true)
  expect(inText('jane@example.com', 'ｊａｎｅ＠ｅｘａｍｐｌｅ．ｃｏｍ')).toBe(true)
})

test('percent-encoded windows-1252 bytes are decoded as such, also in a string with UTF-8', () => {
  expect(inText('josé@example.com', 'jos%E9%40example.com')).toBe(true)
  expect(inText('josé@example.com', '%e4 jos%C3%A9%40example.com')).toBe(true)
})

test('one of several addresses is enough, and no address finds nothing', () => {
  const texts = { emails: ['Jane@example.com'], others: ['for john@example.com'] }
  expect(addressFinder(['mary@example.com', 'john@example.com'])(texts)).toBe(true)
  expect(addressFinder(['mary@example.com', 'jane@example.com'])(texts)).toBe(true)
  expect(addressFinder(['mary@example.com', 'ann@example.com'])(texts)).toBe(false)
  expect(addressFinder([])(texts)).toBe(false)
})

test('an address that is not in the string is not found, with any characters in either', () => {
  const character = fc.constantFrom(...Array.from('aB.*+?^$(){}[]|\\/-%25é\u0301İßς \ud800'))
  const part = fc.string({ unit: character, maxLength: 8 })
  fc.assert(
    fc.property(part, part, part, (local, domain, text) => {
      const address = `x${local}@${domain}x`
      expect(inText(address, `${text}${address}${text}`)).toBe(true)
      expect(inText(`y${address}`, `${text}${address}${text}`.replaceAll(/y/gi, ''))).toBe(false)
    }),
  )
})

test.each(['a', `${'a'.repeat(60)}@`, '%', '%25', '@ΐ\u0345'])(
  'takes time in proportion to the length of the string: %j',
  (part) => {
    const find = addressFinder([`${'a'.repeat(60)}@${'a'.repeat(60)}.example`])
    expectLinear(
      (size) => filled(part, size),
      (text) => find({ emails: [text], others: [text] }),
    )
  },
)
