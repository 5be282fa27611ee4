import { emailKey } from '../claims.js'
import { isUtf8 } from 'node:buffer'

/** Strings in which addresses are looked for. */
export interface Texts {
  /** Values of e-mail parameters. Each is one address, perhaps with marks around it; a longer address is another person's. */
  readonly emails: readonly string[]
  /** All other strings: an address may stand anywhere in them, between any characters. */
  readonly others: readonly string[]
}

const windows1252 = new TextDecoder('windows-1252')

/** How many layers of percent-encoding are decoded. */
const maxEncodings = 3

/**
 * Makes a function that tells whether strings hold one of the addresses: in any case, with composed or decomposed accented letters,
 * percent-encoded too. In doubt it finds too much rather than too little. No regular expression is made of an address, and each string is
 * read a fixed number of times, so the time is linear.
 */
export function addressFinder(addresses: readonly string[]): (texts: Texts) => boolean {
  const keys = [...new Set(addresses.map(keyOf))]
  const needles = [...new Set(addresses.map((address) => folded(address.trim())))]
  const isInside = (text: string): boolean => {
    for (const reading of readings(text)) {
      if (!/[@＠﹫]/u.test(reading)) continue
      const haystack = folded(reading)
      if (needles.some((needle) => haystack.includes(needle))) return true
    }
    return false
  }
  const isApart = (text: string): boolean => {
    for (const reading of readings(text)) {
      const haystack = keyOf(reading)
      if (keys.some((key) => standsApart(key, haystack))) return true
    }
    return false
  }
  // The value of a refused e-mail parameter may be any string, with an address anywhere in it.
  const isIn = (email: string) => (oneAddress.test(email) ? isApart(email) : isInside(email))
  return ({ emails, others }) => emails.some(isIn) || others.some(isInside)
}

/** A string that is one address and nothing else. */
const oneAddress = /^\s*[^@\s]+@[^@\s]+\s*$/

const keyOf = (text: string): string => emailKey(text) ?? ''

/** Characters before an address that make it part of a longer one, except a quotation mark around it; then those after it. */
const endOfLocal = /[\p{L}\p{M}\p{N}.!#$%&*+/=?^_`{|}~-]'?$/u
const startOfDomain = /^(?:[\p{L}\p{M}\p{N}_-]|\.[\p{L}\p{N}])/u

/** Whether a string holds an address that is not part of a longer one, as in `<eva@example.com>` or `mailto:eva@example.com`. */
function standsApart(address: string, text: string): boolean {
  for (let at = text.indexOf(address); at !== -1; at = text.indexOf(address, at + 1)) {
    const end = at + address.length
    const isLonger =
      endOfLocal.test(text.slice(Math.max(0, at - 4), at)) || startOfDomain.test(text.slice(end, end + 3))
    if (!isLonger) return true
  }
  return false
}

/**
 * A string as it is compared. NFKD separates accents from letters, so that an accent behind an address does not hide it, and makes
 * full-width characters narrow. Upper case, then lower case makes ß equal to SS. An unencoded `+` is a space. JSON may escape a quotation
 * mark with a backslash, and any character as `\uXXXX`.
 */
function folded(text: string): string {
  const unescaped = text.replace(/\\u([0-9a-f]{4})/gi, ofHex)
  const lower = unescaped.normalize('NFKD').toUpperCase().toLowerCase()
  return lower.replaceAll('ς', 'σ').replaceAll('+', ' ').replaceAll('\\', '')
}

const ofHex = (_escape: string, hex: string): string => String.fromCharCode(Number.parseInt(hex, 16))

/** A string, then each percent-decoded form of it: the bytes as UTF-8, and also as windows-1252 if they are not valid UTF-8. */
function* readings(text: string): Generator<string> {
  yield text
  if (!text.includes('%')) return
  let encoded = Buffer.from(text).toString('latin1') // one character per byte
  for (let times = 0; times < maxEncodings; times++) {
    const decoded = encoded.replace(/%([0-9a-f]{2})/gi, ofHex)
    if (decoded === encoded) return
    const bytes = Buffer.from(decoded, 'latin1')
    yield bytes.toString()
    if (!isUtf8(bytes)) yield windows1252.decode(bytes)
    encoded = decoded
  }
}
