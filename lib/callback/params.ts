import { crypto } from '../util/crypto.js'
import type { Issue } from '../errors.js'
import { utf8Decoder, type Decoded, type Decoder } from '../util/decoding.js'
import { tokenName, type Secrets } from './credentials.js'
import { distinctRepairs, limitIssues, type Digest, type Pair, type Received, type Repair } from './received.js'
import { parameterNames, type ParameterName, type ParameterTexts } from './schema.js'

/** Wire names with their documented names. The `fields` option changes them. */
export type WireNames = ReadonlyMap<string, ParameterName>

export const documentedNames: WireNames = new Map(parameterNames.map((name) => [name, name]))

/** Parameters that may be any JSON number. The others may be a whole number that lost no digits. */
export const numericNames: ReadonlySet<ParameterName> = new Set(['purchaseValue', 'referrer_converts', 'goal_complete'])

/** Bytes of a query or a body on the wire; characters of a query that is given as a string. */
export const maxBytes = 65_536
/** Each element of an array counts. @internal */
export const maxParameters = 100
/** Code points of all decoded names and values together. */
const maxCharacters = 16_384

const tooManyBytes: Issue = { rule: 'size', message: `must be at most ${String(maxBytes)} bytes` }
const tooManyParameters: Issue = { rule: 'count', message: `must be at most ${String(maxParameters)} parameters` }
const tooManyCharacters: Issue = { rule: 'size', message: `must be at most ${String(maxCharacters)} characters` }

/** Ends the reading of a callback that is beyond the limits. */
export class LimitReached extends Error {
  readonly issue: Issue

  constructor(issue: Issue) {
    super(issue.message)
    this.issue = issue
  }
}

/** In free strings a broken escape is repaired. In the others it may hide another value, so it refuses the callback. */
const lenientNames: ReadonlySet<ParameterName> = new Set(['referrer_name', 'referee_name', 'referrer_customValue'])

/** Collects decoded parameters within the limits. Its methods throw `LimitReached` beyond them. */
export class Reading {
  readonly pairs: Pair[] = []
  readonly #issues: Issue[] = []
  readonly #repairs: Repair[] = []
  #untyped: Record<string, 'number' | 'other'> | undefined
  #parameters = 0
  #units = 0

  /** Called before the parameters are read, so that the work is bounded. */
  count(parameters: number): void {
    this.#parameters += parameters
    if (this.#parameters > maxParameters) throw new LimitReached(tooManyParameters)
  }

  /** Called before a string of at least that many UTF-16 units is made. A character has at most two of them. */
  expect(units: number): void {
    if (this.#units + units > 2 * maxCharacters) throw new LimitReached(tooManyCharacters)
  }

  add(name: string, known: ParameterName | undefined, { text, damaged }: Decoded): void {
    this.pairs.push([name, text])
    this.#units += name.length + text.length
    this.expect(0)
    if (!damaged) return
    if (known === undefined || lenientNames.has(known)) this.repair(known ?? name, 'charset')
    else this.refuse({ parameter: known, rule: 'escape', message: `${known} is not encoded as declared` })
  }

  refuse(issue: Issue): void {
    this.#issues.push(issue)
  }

  repair(parameter: string, kind: Repair['kind']): void {
    this.#repairs.push({ parameter, kind })
  }

  setUntyped(name: string, type: 'number' | 'other'): void {
    this.#untyped ??= Object.create(null) as Record<string, 'number' | 'other'>
    this.#untyped[name] = type
  }

  end(): Received {
    if (this.#units > maxCharacters && countCharacters(this.pairs) > maxCharacters) {
      throw new LimitReached(tooManyCharacters)
    }
    const received = { pairs: this.pairs, issues: limitIssues(this.#issues), repairs: distinctRepairs(this.#repairs) }
    return this.#untyped === undefined ? received : { ...received, untyped: this.#untyped }
  }
}

/** Returns what `fill` reads. Beyond the limits: a digest of `sent` or, if that is undefined, of the pairs that were read until then. */
export function readWithinLimits(sent: string | Uint8Array | undefined, fill: (reading: Reading) => void): Received {
  const reading = new Reading()
  try {
    if (sent !== undefined && sent.length > maxBytes) throw new LimitReached(tooManyBytes)
    fill(reading)
    return reading.end()
  } catch (error) {
    if (!(error instanceof LimitReached)) throw error
    return unkept(error.issue, sent === undefined ? digestOfPairs(reading.pairs) : digestOf(sent))
  }
}

/** Applies the limits to the sum of several readings. */
export function limitWhole(received: Received): Received {
  const { pairs } = received
  const isFew = pairs.length <= maxParameters
  if (isFew && countCharacters(pairs) <= maxCharacters) return received
  return unkept(isFew ? tooManyCharacters : tooManyParameters, digestOfPairs(pairs))
}

/** A callback of which a digest is kept instead of its pairs. */
export function unkept(issue: Issue, digest: Digest): Received {
  return { pairs: [], issues: [issue], repairs: [], digest }
}

export function digestOf(sent: string | Uint8Array): Digest {
  return { length: sent.length, hash: crypto().hash('sha256', sent) }
}

/** The last pair may be of any size, since the reading ended with it: each string is cut before it is hashed. */
function digestOfPairs(pairs: readonly Pair[]): Digest {
  const cut = pairs.map((pair) => pair.map((text) => text.slice(0, maxBytes)))
  return { length: lengthOf(pairs), hash: crypto().hash('sha256', JSON.stringify(cut)) }
}

function lengthOf(pairs: readonly Pair[]): number {
  return pairs.reduce((length, [name, text]) => length + name.length + text.length, 0)
}

/** Code points, as JSON Schema counts. Returns the number of UTF-16 units if that is within the limit. */
function countCharacters(pairs: readonly Pair[]): number {
  const units = lengthOf(pairs)
  if (units <= maxCharacters) return units
  let count = units
  for (const text of pairs.flat()) {
    for (let at = 0; at < text.length; at++) {
      if ((text.codePointAt(at) ?? 0) <= 0xffff) continue
      count--
      at++
    }
  }
  return count
}

interface QueryOptions {
  /** A decoder of this query alone, since a decoder may keep state. @defaultValue UTF-8 */
  readonly decode?: Decoder
  /** The content as it was sent, if `raw` was made from it: the size limit and the digest are about `sent`. */
  readonly sent?: string | Uint8Array
}

/** Splits a query or a form into decoded pairs. Never makes an object or an array of a parameter, and drops none. */
export function readQuery(
  raw: string,
  wireNames: WireNames,
  { decode = utf8Decoder(), sent }: QueryOptions = {},
): Received {
  return readWithinLimits(sent ?? raw, (reading) => {
    let isSplit = false
    let equals = -1 // the first `=` after the last start: found once, so that the search is linear
    const add = (start: number, end: number): void => {
      if (equals < start) equals = indexIn(raw, '=', start)
      const nameEnd = Math.min(equals, end)
      const written = raw.slice(start, nameEnd)
      const known = wireNames.get(written) // most senders do not encode names
      if (known === undefined) {
        addUnusual(start, nameEnd, end, readName(written, wireNames, decode))
        return
      }
      reading.count(1)
      reading.add(written === known ? known : written, known, decode(raw.slice(nameEnd + 1, end))) // V8 compares constants fastest
    }
    const addUnusual = (start: number, nameEnd: number, end: number, { name, known, isEntity }: Name): void => {
      const second =
        known === undefined && !isSplit
          ? findSecondQuery(raw.slice(start, end), nameEnd - start, wireNames, decode)
          : undefined
      if (second !== undefined) {
        isSplit = true
        reading.repair(second.parameter, 'second-question-mark')
        if (second.mark > 0) add(start, start + second.mark)
        add(start + second.mark + 1, end)
        return
      }
      if (isEntity) reading.repair(known ?? name, 'amp-entity')
      reading.count(1)
      reading.add(name, known, decode(raw.slice(nameEnd + 1, end)))
    }

    for (let start = 0; start < raw.length;) {
      const end = indexIn(raw, '&', start)
      if (end > start) add(start, end)
      start = end + 1
    }
  })
}

/** The first position of a character, or the end of the string. */
function indexIn(text: string, character: string, from: number): number {
  const index = text.indexOf(character, from)
  return index === -1 ? text.length : index
}

interface Name {
  readonly name: string
  readonly known: ParameterName | undefined
  /** Whether `amp;` stood before the name. */
  readonly isEntity: boolean
}

function readName(written: string, wireNames: WireNames, decode: Decoder): Name {
  const { text } = decode(written)
  const isEntity = text.startsWith('amp;')
  const name = isEntity ? text.slice('amp;'.length) : text
  return { name, known: wireNames.get(name), isEntity }
}

/**
 * Finds `?conversion=…` that a sender appended to a URL with a query of its own: the first `?` that one of the ten names follows, unless
 * one of the ten names precedes it. Linear: each string between a `?` and the next `=` is decoded once.
 */
function findSecondQuery(segment: string, end: number, wireNames: WireNames, decode: Decoder) {
  if (!segment.includes('?')) return undefined
  for (let start = 0, equals = end; equals < segment.length && equals !== -1;) {
    const piece = segment.slice(start, equals)
    const mark = piece.lastIndexOf('?')
    const parameter = mark === -1 ? undefined : wireNames.get(decode(piece.slice(mark + 1)).text)
    if (parameter !== undefined) {
      const isFirst = start === 0 && readName(piece.slice(0, mark), wireNames, decode).known !== undefined
      return isFirst ? undefined : { mark: start + mark, parameter }
    }
    start = equals + 1
    equals = segment.indexOf('=', start)
  }
  return undefined
}

/** Drops the parameter `token`, and masks the secrets in unknown parameters, so that a callback can be recorded and shown. */
export function withoutCredential(received: Received, secrets: Secrets, wireNames: WireNames): Received {
  const { pairs, repairs, untyped } = received
  const isOurs = (name: string) => wireNames.has(name)
  if (pairs.every(([name]) => isOurs(name))) return received
  const mask = (text: string) => secrets.mask(text)
  return {
    ...received,
    pairs: pairs
      .filter(([name]) => name !== tokenName)
      .map((pair) => (isOurs(pair[0]) ? pair : [mask(pair[0]), mask(pair[1])])),
    repairs: repairs
      .filter(({ parameter }) => parameter !== tokenName)
      .map(({ parameter, kind }) => ({ parameter: mask(parameter), kind })),
    ...(untyped && { untyped: Object.fromEntries(Object.entries(untyped).map(([name, type]) => [mask(name), type])) }),
  }
}

/** Shared, since most callbacks have no unknown parameter, and to make and freeze an object for each is slow. */
const noExtra: Readonly<Record<string, string>> = Object.freeze(Object.create(null) as Record<string, string>)

/**
 * Sorts pairs into the ten parameters by documented name, and the others by wire name. A parameter with two different values is an issue,
 * since one of the two is forged or damaged. Of a repeated unknown name the first value stays: the shop's own URL comes first.
 */
export function collect({ pairs, untyped }: Received, wireNames: WireNames) {
  const params: ParameterTexts = {}
  const issues: Issue[] = []
  let extra: Record<string, string> | undefined
  for (const [name, text] of pairs) {
    const known = wireNames.get(name)
    if (known === undefined) {
      extra ??= Object.create(null) as Record<string, string>
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
  return { params, extra: extra ?? noExtra, issues }
}

export function notAText(parameter: ParameterName): Issue {
  return { parameter, rule: 'type', message: `${parameter} is an object, an array or of another type` }
}
