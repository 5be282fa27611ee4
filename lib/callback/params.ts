import { decodeComponent, type Decoded, type Decoder } from './encoding.js'
import type { Issue } from '../errors.js'
import type { Repair } from './issues.js'
import { isParameterName, parameterNames, type ParameterName, type ParameterTexts } from './schema.js'

/** A decoded parameter by its name on the wire. */
export type Pair = readonly [name: string, text: string]

/** Stands for what is not kept as it came: it is beyond the limits, or cannot be read at all, and may hold anything. */
export interface Digest {
  /** Bytes, or characters where it came as text. */
  readonly length: number
  /** SHA-256, as hex. */
  readonly hash: string
}

/** What arrived, decoded but not yet judged: what the quarantine keeps, and what a replay starts from. */
export interface Received {
  readonly pairs: readonly Pair[]
  /** What went wrong while it was read. */
  readonly issues: readonly Issue[]
  readonly repairs: readonly Repair[]
  /** Names that were unknown when they were read, with values that were no texts: with other `fields` they may not pass for one. */
  readonly untyped?: Readonly<Record<string, 'number' | 'other'>>
  /** In the place of pairs that are not kept; such a callback cannot be replayed. */
  readonly digest?: Digest
}

/** Wire name to documented name: the documented names themselves, changed by the `fields` option. */
export type WireNames = ReadonlyMap<string, ParameterName>

export const documentedNames: WireNames = new Map(parameterNames.map((name) => [name, name]))

/** Bytes of a query or a body, and characters of a query given as text. */
export const maxBytes = 65_536
export const maxParameters = 1_000

/** Free texts are read leniently; in the others a bad escape hides what was meant. */
const lenientNames: ReadonlySet<ParameterName> = new Set(['referrer_name', 'referee_name', 'referrer_customValue'])

/** Pairs as they come in, with what was wrong or repaired about each. */
class Reading implements Received {
  readonly pairs: Pair[] = []
  readonly issues: Issue[] = []
  readonly repairs: Repair[] = []

  /** Makes room for one more pair, or says that there is none. */
  hasRoom(): boolean {
    if (this.pairs.length < maxParameters) return true
    this.issues.push({ rule: 'count', message: `must be at most ${String(maxParameters)} parameters` })
    return false
  }

  add(name: string, known: ParameterName | undefined, { text, damaged }: Decoded): void {
    this.pairs.push([name, text])
    if (!damaged) return
    if (known === undefined || lenientNames.has(known)) this.repairs.push({ parameter: known ?? name, kind: 'charset' })
    else this.issues.push({ parameter: known, rule: 'escape', message: `${known} is not encoded as declared` })
  }
}

/** Splits a query or form text into decoded pairs, by section 6: never an object, never an array, nothing lost. */
export function readQuery(raw: string, wireNames: WireNames, decode: Decoder = decodeComponent): Received {
  const reading = new Reading()
  if (raw.length > maxBytes) {
    reading.issues.push({ rule: 'size', message: `must be at most ${String(maxBytes)} bytes` })
    return reading
  }

  let isSplit = false
  const add = (segment: string): void => {
    const equals = segment.indexOf('=')
    let name = equals === -1 ? segment : segment.slice(0, equals)
    let known = wireNames.get(name) // most senders leave names as they are
    if (known === undefined) {
      name = decode(name).text
      known = wireNames.get(name)
    }
    if (known === undefined) {
      const parts = isSplit ? undefined : splitSecondQuery(segment, wireNames, decode)
      if (parts !== undefined) {
        isSplit = true
        reading.repairs.push({ parameter: parts.parameter, kind: 'second-question-mark' })
        if (parts.before !== '') add(parts.before)
        add(parts.after)
        return
      }
      if (name.startsWith('amp;')) {
        name = name.slice('amp;'.length)
        known = wireNames.get(name)
        reading.repairs.push({ parameter: known ?? name, kind: 'amp-entity' })
      }
    }
    reading.add(name, known, decode(equals === -1 ? '' : segment.slice(equals + 1)))
  }

  for (let start = 0; start < raw.length;) {
    const ampersand = raw.indexOf('&', start)
    const end = ampersand === -1 ? raw.length : ampersand
    if (end > start) {
      if (!reading.hasRoom()) break
      add(raw.slice(start, end))
    }
    start = end + 1
  }
  return reading
}

/** The configured URL had a query and the sender appended `?conversion=…` to it: the place where the second query starts. */
function splitSecondQuery(segment: string, wireNames: WireNames, decode: Decoder) {
  for (let mark = segment.indexOf('?'); mark !== -1; mark = segment.indexOf('?', mark + 1)) {
    const after = segment.slice(mark + 1)
    const equals = after.indexOf('=')
    const parameter = equals === -1 ? undefined : wireNames.get(decode(after.slice(0, equals)).text)
    if (parameter !== undefined) return { before: segment.slice(0, mark), after, parameter }
  }
  return undefined
}

/** Parameters whose JSON form may be a number with a fraction; a text parameter takes only numbers that lost no digits. */
const numericNames: ReadonlySet<ParameterName> = new Set(['purchaseValue', 'referrer_converts', 'goal_complete'])

interface ValuesOptions {
  /** A form parser's array of one is refused, since only `name[]=` makes it. @defaultValue 'json' */
  readonly source?: 'form' | 'json'
  /** Reads texts whose bytes were not of their charset. */
  readonly decode?: Decoder
}

/** Values that something else parsed (JSON, a body parser, a record) as pairs; a repeated name may come as several entries or as an array. */
export function readValues(
  entries: Iterable<readonly [string, unknown]>,
  wireNames: WireNames,
  { source = 'json', decode = (text) => ({ text, damaged: false }) }: ValuesOptions = {},
): Received {
  const reading = new Reading()
  const untyped = Object.create(null) as Record<string, 'number' | 'other'>
  const add = (name: string, known: ParameterName | undefined, value: unknown): void => {
    if (value === null || value === undefined) return
    if (known === undefined && !isTextLike(value)) untyped[name] = typeof value === 'number' ? 'number' : 'other'
    const text = scalarText(value, known)
    reading.add(name, known, text === undefined ? { text: describe(value), damaged: false } : decode(text))
    if (text !== undefined || known === undefined) return
    reading.issues.push(notAText(known))
  }
  for (const [wireName, value] of entries) {
    if (!reading.hasRoom()) break
    const name = decode(wireName).text
    const known = wireNames.get(name)
    const isRepeated = known !== undefined && Array.isArray(value) && value.length > (source === 'form' ? 1 : 0)
    if (isRepeated) for (const each of value as readonly unknown[]) add(name, known, each)
    else add(name, known, value)
  }
  const { pairs, issues, repairs } = reading
  return { pairs, issues, repairs, ...(Object.keys(untyped).length > 0 && { untyped }) }
}

/** What means the same as its text, whichever parameter it is. */
function isTextLike(value: unknown): boolean {
  return typeof value === 'string' || typeof value === 'bigint' || Number.isSafeInteger(value)
}

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

/** Any other value as text for the quarantine and for `extra`. */
function describe(value: unknown): string {
  try {
    return JSON.stringify([value]).slice(1, -1) // in a list, so that a function is a text too
  } catch {
    return typeof value
  }
}

/** The parameters by documented name, and the rest by wire name. */
export interface Collected {
  readonly params: Readonly<ParameterTexts>
  readonly extra: Record<string, string>
  readonly issues: readonly Issue[]
}

/**
 * Sorts pairs into the ten parameters and the rest. A known name with two different texts is an issue, since one of the two is
 * forged or damaged; of a repeated unknown name the first text stays, since the shop's own URL comes first.
 */
export function collect({ pairs, untyped }: Received, wireNames: WireNames): Collected {
  const params: ParameterTexts = {}
  const extra = Object.create(null) as Record<string, string>
  const issues: Issue[] = []
  for (const [name, text] of pairs) {
    const known = wireNames.get(name)
    if (known === undefined) {
      extra[name] ??= text
    } else if (params[known] === undefined) {
      params[known] = text
    } else if (params[known] !== text && !issues.some((issue) => issue.parameter === known)) {
      issues.push({ parameter: known, rule: 'repeated', message: `${known} was sent twice with different texts` })
    }
  }
  for (const [name, type] of untyped === undefined ? [] : Object.entries(untyped)) {
    const known = wireNames.get(name)
    if (known !== undefined && !(type === 'number' && numericNames.has(known))) issues.push(notAText(known))
  }
  return { params, extra, issues }
}

function notAText(parameter: ParameterName): Issue {
  return { parameter, rule: 'type', message: `${parameter} is an object, an array or of another type` }
}

/** Pairs as one record, the first text of a name: what observers are shown of a refused callback. */
export function pairsRecord(pairs: readonly Pair[]): Readonly<Record<string, string>> {
  const record = Object.create(null) as Record<string, string>
  for (const [name, text] of pairs) record[name] ??= text
  return record
}

/** The wire names that the `fields` option makes: a listed name replaces the documented one. */
export function wireNamesOf(fields: Readonly<Record<string, string | readonly string[]>>): WireNames {
  const names = new Map(documentedNames)
  for (const documented of Object.keys(fields)) names.delete(documented)
  for (const [documented, wire] of Object.entries(fields)) {
    if (!isParameterName(documented)) throw new TypeError(`${documented} is none of the ten parameters`)
    for (const name of [wire].flat()) {
      if (names.has(name)) throw new TypeError(`${name} stands for two parameters`)
      names.set(name, documented)
    }
  }
  return names
}
