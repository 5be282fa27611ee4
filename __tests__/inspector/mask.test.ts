import fc from 'fast-check'
import { maskAddresses, maskEmail, maskName } from '../../lib/inspector/mask.js'
import { shorten } from '../../lib/util/printable.js'
import { cases } from '../support/cases.js'
import { expectLinear, filled } from '../support/linear.js'

test.each([
  ['Robert Downy', 'R•••'],
  ['山田 花子', '山•••'],
  ['👩‍👩‍👧 Groß', '👩‍👩‍👧•••'],
  ['é', 'é•••'],
  ['', ''],
])('the name %p is shown as %p', (name, masked) => {
  expect(maskName(name)).toBe(masked)
})

test.each([
  ['robert@example.com', 'r•••@e•••.com'],
  ['r@x.co.uk', 'r•••@x•••.uk'],
  ['root@localhost', 'r•••@l•••'],
  ['a@b@example.org', 'a•••@e•••.org'],
  ['no address', 'n•••'],
  ['eva@example.com (Eva Mustermann, 0151 2345678)', 'e•••@e•••.com•••'],
  ['eva@example.com?referee_name=Mustermann', 'e•••@e•••.com•••'],
])('the address %p is shown as %p', (email, masked) => {
  expect(maskEmail(email)).toBe(masked)
})

test.each([
  ['account of <robert@example.com>, not eva@x.org', 'account of <r•••@e•••.com>, not e•••@x•••.org'],
  ['mailto:robert@example.com', 'mailto:r•••@e•••.com'],
  ['order A-1 @ 10 %', 'order A-1 @ 10 %'],
])('every address in %p is masked', (text, masked) => {
  expect(maskAddresses(text)).toBe(masked)
})

test.each([
  ['"Eva"@example.com', '"•••@e•••.com'],
  ['robert%40example.com', 'r•••@e•••.com'],
  ['from=a@b.org;to=c@d.org', 'f•••@b•••.org;t•••@d•••.org'],
  ["o'brien@example.com", "o'b•••@e•••.com"],
  ['eva@example.com@', 'e•••@'],
  ['robert%2540example.com', 'r•••@e•••.com'],
  ['robert%25252540example.com', 'r•••@e•••.com'],
  ['robert＠example.com', 'r•••@e•••.com'],
  ['robert@example.com|+49151234567', 'r•••@e•••.com•••'],
  ['robert@example.com/0151234567', 'r•••@e•••.com•••'],
  ['robert@example.4915123456789', 'r•••@e••••••'],
  ['robert@example.xn--p1ai?', 'r•••@e•••.xn--p1ai?'],
])('unusual spellings of an address are masked too: %p', (text, masked) => {
  expect(maskAddresses(text)).toBe(masked)
})

describe('whatever characters are around an address', () => {
  const letters = fc.constantFrom(...Array.from('abzAZ09._+-"\'():;,<>%é漢𝒜'))
  const some = fc.string({ unit: letters, minLength: 1, maxLength: 12 })
  const address = fc.tuple(some, fc.constantFrom('@', '%40'), some).map((texts) => texts.join(''))
  const around = fc.string({ unit: fc.constantFrom(...Array.from('ab @.,"%4')), maxLength: 12 })

  test('a masked string does not hold it', () => {
    fc.assert(
      fc.property(around, address, around, (before, text, after) => {
        expect(maskAddresses(`${before} ${text} ${after}`)).not.toContain(text)
        expect(maskAddresses(before + text + after)).not.toContain(text)
      }),
      { numRuns: cases(2_000) },
    )
  })

  test('a shortened string holds neither the address nor its local part', () => {
    fc.assert(
      fc.property(
        fc.nat(60),
        fc.constantFrom('@', '%40', '%2540', '＠'),
        fc.constantFrom(' ', ',', '<'),
        (length, at, mark) => {
          const text = `${'x'.repeat(length)}${mark}robert.downy${at}shop.example ${'and so on '.repeat(9)}`
          const shown = shorten(text, 60, maskAddresses)
          expect(shown).not.toMatch(/ro|shop\.example/)
          expect(shorten(text, 60)).toMatch(/… \(\d+ characters\)$/)
        },
      ),
      { numRuns: cases(300) },
    )
  })
})

test.each([
  ['short', 'short'],
  ['x'.repeat(15_000), `${'x'.repeat(200)}… (15,000 characters)`],
  [`${'x'.repeat(199)}😀😀`, `${'x'.repeat(199)}… (203 characters)`],
  [`${'x'.repeat(190)} robert.downy@example.com`, `${'x'.repeat(190)} … (215 characters)`],
])('a long string is shown as its beginning and its length', (text, shown) => {
  expect(shorten(text, 200)).toBe(shown)
})

test.each([
  ['letters', 'a'],
  ['ats', '@'],
  ['escapes', '%4'],
  ['escapes of escapes', '%2525'],
  ['ends', '@.a1'],
  ['words', 'a@b '],
  ['marks', '"@'],
])('twice as many %s take twice the time', (_what, unit) => {
  expectLinear((size) => filled(unit, size), maskAddresses)
})
