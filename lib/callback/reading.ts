import { crypto } from '../util/crypto.js'
import type { Decoded } from '../util/decoding.js'
import type { Issue } from '../errors.js'
import { distinctRepairs, limitIssues, type Repair } from './issues.js'
import type { Digest, Pair, Received } from './received.js'
import type { ParameterName } from './schema.js'

/** Bytes of a query or a body on the wire, and characters of a query given as text. */
export const maxBytes = 65_536
/** Elements of arrays are parameters too. @internal */
export const maxParameters = 100
/** Code points of all names and texts together, once decoded. */
const maxCharacters = 16_384

const tooManyBytes: Issue = { rule: 'size', message: `must be at most ${String(maxBytes)} bytes` }
const tooManyParameters: Issue = { rule: 'count', message: `must be at most ${String(maxParameters)} parameters` }
const tooManyCharacters: Issue = { rule: 'size', message: `must be at most ${String(maxCharacters)} characters` }

/** Ends a reading. */
export class LimitReached extends Error {
  readonly issue: Issue

  constructor(issue: Issue) {
    super(issue.message)
    this.issue = issue
  }
}

/** Free texts are read leniently; in the others a bad escape hides what was meant. */
const lenientNames: ReadonlySet<ParameterName> = new Set(['referrer_name', 'referee_name', 'referrer_customValue'])

/** Pairs as they come in, with what was wrong or repaired about each. */
export class Reading {
  readonly #pairs: Pair[] = []
  readonly #issues: Issue[] = []
  readonly #repairs: Repair[] = []
  #untyped: Record<string, 'number' | 'other'> | undefined
  #parameters = 0
  #units = 0

  get pairs(): readonly Pair[] {
    return this.#pairs
  }

  /** Before as many more parameters are looked at. */
  count(parameters: number): void {
    this.#parameters += parameters
    if (this.#parameters > maxParameters) throw new LimitReached(tooManyParameters)
  }

  /** Before a text of at least as many UTF-16 units is made: a character has two of them at most. */
  expect(units: number): void {
    if (this.#units + units > 2 * maxCharacters) throw new LimitReached(tooManyCharacters)
  }

  add(name: string, known: ParameterName | undefined, { text, damaged }: Decoded): void {
    this.#pairs.push([name, text])
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
    if (this.#units > maxCharacters && countCharacters(this.#pairs) > maxCharacters) {
      throw new LimitReached(tooManyCharacters)
    }
    const received = {
      pairs: this.#pairs,
      issues: limitIssues(this.#issues),
      repairs: distinctRepairs(this.#repairs),
    }
    return this.#untyped === undefined ? received : { ...received, untyped: this.#untyped }
  }
}

/** What `fill` reads, or the digest of what was sent where that is beyond the limits. Without `sent`: of what was read until then. */
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

/** What was read in parts, each within the limits, as a whole. */
export function limitWhole(received: Received): Received {
  const { pairs } = received
  const isFew = pairs.length <= maxParameters
  if (isFew && countCharacters(pairs) <= maxCharacters) return received
  return unkept(isFew ? tooManyCharacters : tooManyParameters, digestOfPairs(pairs))
}

/** In the place of what cannot be kept. */
export function unkept(issue: Issue, digest: Digest): Received {
  return { pairs: [], issues: [issue], repairs: [], digest }
}

export function digestOf(sent: string | Uint8Array): Digest {
  return { length: sent.length, hash: crypto().hash('sha256', sent) }
}

/** Pairs were bounded when they were read, all but the one that was too much. */
function digestOfPairs(pairs: readonly Pair[]): Digest {
  const cut = pairs.map((pair) => pair.map((text) => text.slice(0, maxBytes)))
  return { length: lengthOf(pairs), hash: crypto().hash('sha256', JSON.stringify(cut)) }
}

function lengthOf(pairs: readonly Pair[]): number {
  return pairs.reduce((length, [name, text]) => length + name.length + text.length, 0)
}

/** Code points, as JSON Schema counts; fewer than the limit need not be counted exactly. */
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
