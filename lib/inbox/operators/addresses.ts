import { isUtf8 } from 'node:buffer'
import { emailKey } from '../identity.js'

/** Texts in which addresses are looked for. */
export interface Texts {
  /** Of e-mail parameters: each is an address, maybe with marks around it, so that a longer one is another person's. */
  readonly emails: readonly string[]
  /** All others: an address may stand anywhere in them, between whatever characters. */
  readonly others: readonly string[]
}

const windows1252 = new TextDecoder('windows-1252')

/** Of a text that was encoded again and again, so many encodings are undone. */
const maxEncodings = 3

/**
 * Tells whether texts hold one of several addresses, in any case and either spelling of an accented letter, percent-encoded too. Rather
 * finds one too many than misses one. No pattern is made of an address, and each text is read a fixed number of times.
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
  // What was refused as an e-mail parameter may be anything.
  const isIn = (email: string) => (isOneAddress(email) ? isApart(email) : isInside(email))
  return ({ emails, others }) => emails.some(isIn) || others.some(isInside)
}

function isOneAddress(text: string): boolean {
  return /^[^@\s]+@[^@\s]+$/.test(text.trim())
}

function keyOf(text: string): string {
  return emailKey(text) ?? ''
}

/** What makes another address of the one that follows, but for a quotation mark around it; and of the one before. */
const endOfLocal = /[\p{L}\p{M}\p{N}.!#$%&*+/=?^_`{|}~-]'?$/u
const startOfDomain = /^(?:[\p{L}\p{M}\p{N}_-]|\.[\p{L}\p{N}])/u

/** Whether an address is in a text, and no part of a longer one there: `<eva@example.com>`, `mailto:eva@example.com`. */
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
 * A text as it is compared: letters apart from their accents, so that an accent which follows an address hides nothing, and wide ones as
 * narrow ones; in lower case by way of upper case, which makes one of ß and SS; an unencoded `+` is a space, and JSON puts a backslash before
 * a quotation mark and may write a letter as its number.
 */
function folded(text: string): string {
  const unescaped = text.replace(/\\u([0-9a-f]{4})/gi, (_escape, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  )
  const lower = unescaped.normalize('NFKD').toUpperCase().toLowerCase()
  return lower.replaceAll('ς', 'σ').replaceAll('+', ' ').replaceAll('\\', '')
}

/** A text, and what it says where it is percent-encoded: its bytes as UTF-8, and as windows-1252 where they are not UTF-8. */
function* readings(text: string): Generator<string> {
  yield text
  if (!text.includes('%')) return
  let encoded = Buffer.from(text).toString('latin1') // one character a byte
  for (let times = 0; times < maxEncodings; times++) {
    const decoded = encoded.replace(/%([0-9a-f]{2})/gi, (_escape, hex: string) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    )
    if (decoded === encoded) return
    const bytes = Buffer.from(decoded, 'latin1')
    yield bytes.toString()
    if (!isUtf8(bytes)) yield windows1252.decode(bytes)
    encoded = decoded
  }
}
