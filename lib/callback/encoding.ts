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
  return bytes.toString('latin1').replace(/[\u0080-\u009f]/g, (char) => from0x80.charAt(char.charCodeAt(0) - 0x80))
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Bytes that should be UTF-8, read as windows-1252 where they are not. */
export function decodeBytes(bytes: Buffer): Decoded {
  try {
    return { text: utf8.decode(bytes), damaged: false }
  } catch {
    return { text: windows1252(bytes), damaged: true }
  }
}

/** The bytes behind a raw text; a `%` without two hex digits stays itself and counts as damage. */
function percentBytes(raw: string): { bytes: Buffer; stray: boolean } {
  let stray = false
  const source = Buffer.from(raw, 'utf8')
  const bytes = Buffer.allocUnsafe(source.length)
  let length = 0
  for (let at = 0; at < source.length; at++) {
    const hex = source[at] === 0x25 ? source.toString('latin1', at + 1, at + 3) : undefined
    if (hex === undefined) {
      length = bytes.writeUInt8(source.readUInt8(at), length)
    } else if (/^[0-9a-f]{2}$/i.test(hex)) {
      length = bytes.writeUInt8(Number.parseInt(hex, 16), length)
      at += 2
    } else {
      length = bytes.writeUInt8(0x25, length)
      stray = true
    }
  }
  return { bytes: bytes.subarray(0, length), stray }
}

/** `+` is a space, then `%XX` are bytes of UTF-8, once. */
export function decodeComponent(raw: string): Decoded {
  const spaced = raw.includes('+') ? raw.replaceAll('+', ' ') : raw
  if (!spaced.includes('%')) return { text: spaced, damaged: false }
  try {
    return { text: decodeURIComponent(spaced), damaged: false }
  } catch {
    const { bytes } = percentBytes(spaced)
    return { text: decodeBytes(bytes).text, damaged: true }
  }
}

/**
 * A decoder of form texts in a declared charset, given raw text whose characters above ASCII are escaped;
 * undefined when nobody knows the charset, or when `&` and `%` are not ASCII bytes in it.
 */
export function componentDecoder(charset: string): Decoder | undefined {
  const decode = bytesDecoder(charset)
  if (decode === undefined || decode.encoding.startsWith('utf-16')) return undefined
  if (decode.encoding === 'utf-8') return decodeComponent
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

/**
 * Bytes above ASCII as percent escapes. Node hands over the request target, and we read bodies, as one character a byte
 * (latin1); escaped, they go the same way as what was encoded properly.
 */
export function escapeHighBytes(latin1: string): string {
  return latin1.replace(/[\u0080-\u00ff]/g, (char) => `%${char.charCodeAt(0).toString(16)}`)
}
