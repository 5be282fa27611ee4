import { isUtf8 } from 'node:buffer'

/** A text that was sent percent-encoded, and whether its bytes were what they were declared to be. */
export interface Decoded {
  readonly text: string
  /** True when a `%` stood alone or the bytes were not of the charset: the text is then a best reading. */
  readonly damaged: boolean
}

/** From raw text, `+` and `%XX` included, to the text that was meant. Total: it never throws. */
export type Decoder = (raw: string) => Decoded

/** windows-1252 above ASCII's neighbours, from the WHATWG Encoding Standard. TextDecoder reads it as latin1 on Node 20. */
const from0x80 = '€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ'

function windows1252(bytes: Buffer): string {
  const units = Buffer.alloc(2 * bytes.length)
  bytes.forEach((byte, at) => {
    units.writeUInt16LE(byte >= 0x80 && byte <= 0x9f ? from0x80.charCodeAt(byte - 0x80) : byte, 2 * at)
  })
  return units.toString('utf16le')
}

/** Bytes that should be UTF-8, read as windows-1252 where they are not. */
export function decodeBytes(bytes: Buffer): Decoded {
  return isUtf8(bytes) ? { text: bytes.toString('utf8'), damaged: false } : { text: windows1252(bytes), damaged: true }
}

/** The value of a hex digit by its character code; -1 for any other character. */
function hexDigit(code = 0): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30
  const letter = code | 0x20 // in lower case
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1
}

/** The bytes behind a raw text; a `%` without two hex digits stays itself and counts as damage. */
function percentBytes(raw: string): { bytes: Buffer; stray: boolean } {
  let stray = false
  const bytes = Buffer.from(raw, 'utf8') // written over from its start: what is meant is never longer than what was sent
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

/** A string with every `%XX` read as a byte of UTF-8, whatever else in it is not encoded well. */
export function percentDecoded(text: string): string {
  return text.includes('%') ? percentBytes(text).bytes.toString('utf8') : text
}

/**
 * A decoder for the components of one query: `+` is a space, then `%XX` are bytes of UTF-8, once. A URIError costs as much as ten
 * components, so once there was one, the rest is read without the function that throws it.
 */
export function utf8Decoder(): Decoder {
  let isDamaged = false
  return (raw) => {
    const spaced = raw.includes('+') ? raw.replaceAll('+', ' ') : raw
    if (!spaced.includes('%')) return { text: spaced, damaged: false }
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
 * A decoder of form texts in a declared charset, given raw text whose characters above ASCII are escaped;
 * undefined when nobody knows the charset, or when `&` and `%` are not ASCII bytes in it.
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

/** Reads bytes of a declared charset; the result is undefined for bytes that are not of it. */
export interface BytesDecoder {
  (bytes: Buffer): string | undefined
  /** The charset's name in the WHATWG Encoding Standard. */
  readonly encoding: string
}

/** The decoder of a charset by any of its labels; undefined when nobody knows the charset. */
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

/** The bytes of what Node has read as latin1, as it reads headers; undefined where all of them are ASCII, and mean the same in UTF-8. */
export function highBytes(latin1: string): Buffer | undefined {
  return /[\u0080-\u00ff]/.test(latin1) ? Buffer.from(latin1, 'latin1') : undefined
}

/**
 * Bytes above ASCII as percent escapes. Node hands over the request target, and we read bodies, as one character a byte
 * (latin1); escaped, they go the same way as what was encoded properly.
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
