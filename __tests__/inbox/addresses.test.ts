import fc from 'fast-check'
import { addressFinder } from '../../lib/inbox/addresses.js'
import { addresses, spellings, surroundings } from '../support/addresses.js'

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

test('windows-1252 bytes that are encoded are read as such, beside UTF-8 too', () => {
  expect(inText('josé@example.com', 'jos%E9%40example.com')).toBe(true)
  expect(inText('josé@example.com', '%e4 jos%C3%A9%40example.com')).toBe(true)
})

test('one of several addresses is enough, and none is none', () => {
  const texts = { emails: ['Jane@example.com'], others: ['for john@example.com'] }
  expect(addressFinder(['mary@example.com', 'john@example.com'])(texts)).toBe(true)
  expect(addressFinder(['mary@example.com', 'jane@example.com'])(texts)).toBe(true)
  expect(addressFinder(['mary@example.com', 'ann@example.com'])(texts)).toBe(false)
  expect(addressFinder([])(texts)).toBe(false)
})

test('what is not there is not found, whatever characters address and text are made of', () => {
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

test('four times the text takes about four times as long', () => {
  const address = `${'a'.repeat(60)}@${'a'.repeat(60)}.example`
  const inputs: ((size: number) => string)[] = [
    (size) => 'a'.repeat(size),
    (size) => `${'a'.repeat(60)}@`.repeat(size / 61),
    (size) => '%'.repeat(size),
    (size) => '%25'.repeat(size / 3),
    (size) => '@ΐ\u0345'.repeat(size / 3),
  ]
  const find = addressFinder([address])
  const measure = (text: string): number => {
    const times = Array.from({ length: 5 }, () => {
      const start = performance.now()
      find({ emails: [text], others: [text] })
      return performance.now() - start
    })
    return Math.min(...times)
  }
  for (const input of inputs) {
    let size = 15_000
    while (measure(input(size)) < 5) size *= 2 // shorter times say little
    expect(measure(input(4 * size)) / measure(input(size))).toBeLessThan(10)
  }
})
