import type { Decoder } from '../util/decoding.js'
import { detached } from '../util/detached.js'
import { LimitReached, notAText, numericNames, readWithinLimits, type Reading, type WireNames } from './params.js'
import type { Received } from './received.js'
import type { ParameterName } from './schema.js'

interface ValuesOptions {
  /** What made the values. A form parser's array of one value is refused, since only `name[]=` makes it. @defaultValue 'json' */
  readonly source?: 'form' | 'json'
  /** Decodes strings whose characters are the bytes of another charset. */
  readonly decode?: Decoder
  /** The content that the values were parsed from, if it is known: the size limit and the digest are about it. */
  readonly sent?: Uint8Array
}

/** Reads values that JSON, a body parser or a record holds. A repeated name may be several entries or an array. */
export function readValues(
  entries: Iterable<readonly [string, unknown]>,
  wireNames: WireNames,
  { source = 'json', decode = (text) => ({ text: detached(text), damaged: false }), sent }: ValuesOptions = {},
): Received {
  return readWithinLimits(sent, (reading) => {
    const add = (name: string, known: ParameterName | undefined, value: unknown): void => {
      if (value === null || value === undefined) return
      if (known === undefined && !isTextLike(value)) {
        reading.setUntyped(name, typeof value === 'number' ? 'number' : 'other')
      }
      const text = scalarText(value, known)
      reading.add(name, known, text === undefined ? { text: describe(value, reading), damaged: false } : decode(text))
      if (text === undefined && known !== undefined) reading.refuse(notAText(known))
    }
    for (const [wireName, value] of entries) {
      const name = decode(wireName).text
      const known = wireNames.get(name)
      const isRepeated = known !== undefined && Array.isArray(value) && value.length > (source === 'form' ? 1 : 0)
      reading.count(isRepeated ? value.length : 1)
      if (isRepeated) for (const each of value as readonly unknown[]) add(name, known, each)
      else add(name, known, value)
    }
  })
}

/** The entries of an object, one at a time. An array or a Map has none: its entries are no parameters. */
export function* entriesOf(value: object): Generator<[name: string, value: unknown]> {
  if (Array.isArray(value) || ArrayBuffer.isView(value)) return
  for (const name of Object.keys(value)) yield [name, (value as Readonly<Record<string, unknown>>)[name]]
}

function isTextLike(value: unknown): boolean {
  return typeof value === 'string' || typeof value === 'bigint' || Number.isSafeInteger(value)
}

/** The string that a value stands for; undefined if there is none. */
function scalarText(value: unknown, known: ParameterName | undefined): string | undefined {
  if (typeof value === 'string') return value
  if (typeof value === 'bigint') return String(value)
  if (typeof value === 'boolean') {
    if (known === undefined) return String(value)
    return known === 'goal_complete' ? (value ? '1' : '0') : undefined
  }
  if (typeof value !== 'number' || !Number.isFinite(value)) return undefined
  if (known === undefined || numericNames.has(known)) return decimalText(value)
  return Number.isSafeInteger(value) ? String(value) : undefined
}

/** A number's shortest decimal form, without an exponent. */
function decimalText(value: number): string {
  const shortest = String(value)
  const [digits = '', exponent] = shortest.split('e')
  if (exponent === undefined) return shortest
  if (!exponent.startsWith('-')) return BigInt(value).toString()
  const decimals = digits.replace(/^-?\d\.?/, '').length - Number(exponent)
  return value.toFixed(Math.min(decimals, 100))
}

/** Any other value as JSON, for the quarantine and for `extra`. Throws as soon as the value is beyond the limits. */
function describe(value: unknown, reading: Reading): string {
  let units = 0
  function weigh(this: unknown, key: string, each: unknown): unknown {
    units += (Array.isArray(this) ? 0 : key.length) + (typeof each === 'string' ? each.length : 1)
    reading.expect(units)
    if (Array.isArray(each) && each.length > 1) reading.count(each.length - 1) // the first element was counted with the name
    return each
  }
  try {
    return JSON.stringify([value], weigh).slice(1, -1) // in an array, where a function becomes null instead of undefined
  } catch (error) {
    if (error instanceof LimitReached) throw error
    return typeof value
  }
}
