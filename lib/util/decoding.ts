import { isUtf8 } from 'node:buffer'
import { detached } from './detached.js'

export interface Decoded {
  readonly text: string
  /** True if a `%` stood without two hex digits, or the bytes were invalid in the charset. `text` is then a guess. */
  readonly damaged: boolean
}

/** Decodes a raw string with `+` and `%XX`. Never throws. The result is a string of its own, no slice of the raw one. */
export type Decoder = (raw: string) => Decoded

/** The characters 0x80 to 0x9F of windows-1252 in the WHATWG Encoding Standard. TextDecoder on Node 20 decodes them as latin1. */
const from0x80 = '€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ'

function windows1252(bytes: Buffer): string {
  const units = Buffer.alloc(2 * bytes.length)
  bytes.forEach((byte, at) => {
    units.writeUInt16LE(byte >= 0x80 && byte <= 0x9f ? from0x80.charCodeAt(byte - 0x80) : byte, 2 * at)
  })
  return units.toString('utf16le')
}

/** Decodes bytes as UTF-8, or as windows-1252 if they are not valid UTF-8. */
export function decodeBytes(bytes: Buffer): Decoded {
  return isUtf8(bytes) ? { text: bytes.toString('utf8'), damaged: false } : { text: windows1252(bytes), damaged: true }
}

/** The value of a hex digit by its character code; -1 for any other character. */
function hexDigit(code = 0): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30
  const letter = code | 0x20 // in lower case
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1
}

/** Decodes `%XX` to bytes. A `%` without two hex digits stays as it is, and sets `stray`. */
function percentBytes(raw: string): { bytes: Buffer; stray: boolean } {
  let stray = false
  const bytes = Buffer.from(raw, 'utf8') // decoded in place: a decoded string is never longer
  let length = 0
  for (let at = 0; at < bytes.length; at++, length++) {
    bytes[length] = bytes[at] ?? 0
    if (bytes[at] !== 0x25) continue
    const high = hexDigit(bytes[at + 1])
    const low = hexDigit(bytes[at + 2])
    if (high === -1 || low === -1) {
      stray = true
    } else {
      bytes[length] = high * 16 + low
      at += 2
    }
  }
  return { bytes: bytes.subarray(0, length), stray }
}

/** Decodes every `%XX` as a byte of UTF-8, also in a string that is not encoded well elsewhere. */
export function percentDecoded(text: string): string {
  return text.includes('%') ? percentBytes(text).bytes.toString('utf8') : text
}

/**
 * A decoder for the components of one query: `+` is a space, and `%XX` is a byte of UTF-8. A URIError takes as long as decoding ten
 * components, so after the first one the decoder no longer calls `decodeURIComponent`.
 */
export function utf8Decoder(): Decoder {
  let isDamaged = false
  return (raw) => {
    const spaced = raw.includes('+') ? raw.replaceAll('+', ' ') : raw
    if (!spaced.includes('%')) return { text: spaced === raw ? detached(raw) : spaced, damaged: false }
    if (!isDamaged) {
      try {
        return { text: decodeURIComponent(spaced), damaged: false }
      } catch {
        isDamaged = true
      }
    }
    const { bytes, stray } = percentBytes(spaced)
    const { text, damaged } = decodeBytes(bytes)
    return { text, damaged: damaged || stray }
  }
}

/**
 * A decoder for the components of a form in a declared charset. The raw strings must hold nothing above ASCII (see `escapeHighBytes`).
 * Undefined if the charset is unknown, or encodes `&` and `%` as other bytes than ASCII does.
 */
export function componentDecoder(charset: string): Decoder | undefined {
  const decode = bytesDecoder(charset)
  if (decode === undefined || decode.encoding.startsWith('utf-16')) return undefined
  if (decode.encoding === 'utf-8') return utf8Decoder()
  return (raw) => {
    const { bytes, stray } = percentBytes(raw.replaceAll('+', ' '))
    const text = decode(bytes)
    return { text: text ?? windows1252(bytes), damaged: stray || text === undefined }
  }
}

/** Decodes bytes of one charset. Returns undefined for bytes that are invalid in it. */
export interface BytesDecoder {
  (bytes: Buffer): string | undefined
  /** The name of the charset in the WHATWG Encoding Standard. */
  readonly encoding: string
}

/** The decoder of a charset, by any of its labels; undefined if the charset is unknown. */
export function bytesDecoder(charset: string): BytesDecoder | undefined {
  let decoder: InstanceType<typeof TextDecoder>
  try {
    decoder = new TextDecoder(charset, { fatal: true })
  } catch {
    return undefined
  }
  const { encoding } = decoder
  const decode = (bytes: Buffer): string | undefined => {
    if (encoding === 'windows-1252') return windows1252(bytes)
    try {
      return decoder.decode(bytes)
    } catch {
      return undefined
    }
  }
  return Object.assign(decode, { encoding })
}

/** The bytes of a string that Node has decoded as latin1, such as a header. Undefined if all are ASCII, which is the same in UTF-8. */
export function highBytes(latin1: string): Buffer | undefined {
  return /[\u0080-\u00ff]/.test(latin1) ? Buffer.from(latin1, 'latin1') : undefined
}

/**
 * Percent-encodes the bytes above ASCII of a string that was decoded as latin1: a request target by Node, a body by this package. A decoder
 * then treats them like bytes that the sender encoded.
 */
export function escapeHighBytes(latin1: string): string {
  const bytes = highBytes(latin1)
  if (bytes === undefined) return latin1
  const hexOf = '0123456789abcdef'
  const escaped = Buffer.allocUnsafe(3 * bytes.length)
  let length = 0
  for (const byte of bytes) {
    if (byte < 0x80) {
      escaped[length++] = byte
    } else {
      escaped[length++] = 0x25
      escaped[length++] = hexOf.charCodeAt(byte >> 4)
      escaped[length++] = hexOf.charCodeAt(byte & 15)
    }
  }
  return escaped.toString('latin1', 0, length)
}
