import { addressMatcher } from '../../lib/callback/caller.js'

const allowed: readonly (readonly [string, string])[] = [
  ['203.0.113.7', '203.0.113.7'],
  [' 203.0.113.7 ', '203.0.113.7'],
  ['203.0.113.7/32', '203.0.113.7'],
  ['203.0.113.0/24', '203.0.113.255'],
  ['0.0.0.0/0', '8.8.8.8'],
  ['203.0.113.7', '::ffff:203.0.113.7'],
  ['203.0.113.0/24', '::FFFF:cb00:7107'],
  ['::ffff:203.0.113.7', '203.0.113.7'],
  ['::ffff:203.0.113.0/120', '203.0.113.9'],
  ['2001:db8::/32', '2001:db8:1::1'],
  ['2001:DB8::1', '2001:db8:0:0:0:0:0:1'],
  ['fe80::/10', 'fe80::1%eth0'],
  ['::/0', '2001:db8::1'],
]

test.each(allowed)('%s allows %s', (range, address) => {
  expect(addressMatcher([range])(address)).toBe(true)
  expect(addressMatcher(['192.0.2.1', range])(address)).toBe(true)
})

const rejected: readonly (readonly [string, string | undefined])[] = [
  ['203.0.113.7', '203.0.113.8'],
  ['203.0.113.0/24', '203.0.114.0'],
  ['0.0.0.0/0', '2001:db8::1'],
  ['::/0', '203.0.113.7'],
  ['2001:db8::/32', '2001:db9::1'],
  ['0.0.0.0/0', undefined],
  ['0.0.0.0/0', ''],
  ['0.0.0.0/0', 'unknown'],
  ['0.0.0.0/0', '203.0.113.7:443'],
  ['0.0.0.0/0', '0xcb007107'],
]

test.each(rejected)('%s does not allow %s', (range, address) => {
  expect(addressMatcher([range])(address)).toBe(false)
})

test('an empty list allows nobody', () => {
  expect(addressMatcher([])('203.0.113.7')).toBe(false)
})

const invalid: readonly unknown[] = [
  ...['', 'localhost', '203.0.113', '203.0.113.256', '203.0.113.0/33', '203.0.113.0/', '203.0.113.0/-1'],
  ...['203.0.113.0/24/1', '203.0.113.0/2x', '2001:db8::/129', '203.0.113.*', '0xcb007107', 5, null, undefined, {}],
]

test.each(invalid)('%j is no address and no range', (entry) => {
  expect(() => addressMatcher([entry])).toThrow(
    expect.objectContaining({ code: 'ERR_CONVERSION_OPTION_INVALID' }) as Error,
  )
})
