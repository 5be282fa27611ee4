import { invalidOption, type Issue } from '../errors.js'
import { closestName, shown } from '../util/closest-name.js'
import { utf8Decoder, type Decoder } from '../util/decoding.js'
import { readWithinLimits } from './reading.js'
import type { Pair, Received } from './received.js'
import { isParameterName, parameterNames, type ParameterName, type ParameterTexts } from './schema.js'

/** Wire name to documented name: the documented names themselves, changed by the `fields` option. */
export type WireNames = ReadonlyMap<string, ParameterName>

export const documentedNames: WireNames = new Map(parameterNames.map((name) => [name, name]))

/** Parameters whose JSON form may be a number with a fraction; a text parameter takes only numbers that lost no digits. */
export const numericNames: ReadonlySet<ParameterName> = new Set(['purchaseValue', 'referrer_converts', 'goal_complete'])

interface QueryOptions {
  /** For one query: it may remember what the query is like. @defaultValue UTF-8 */
  readonly decode?: Decoder
  /** What came on the wire, where the text is another form of it: its size and its digest count. */
  readonly sent?: string | Uint8Array
}

/** Splits a query or form text into decoded pairs: never an object, never an array, nothing lost. */
export function readQuery(
  raw: string,
  wireNames: WireNames,
  { decode = utf8Decoder(), sent }: QueryOptions = {},
): Received {
  return readWithinLimits(sent ?? raw, (reading) => {
    let isSplit = false
    const add = (segment: string): void => {
      const equals = segment.indexOf('=')
      const end = equals === -1 ? segment.length : equals
      const written = segment.slice(0, end)
      const known = wireNames.get(written) // most senders leave names as they are
      if (known === undefined) {
        addUnusual(segment, end, readName(written, wireNames, decode))
        return
      }
      reading.count(1)
      reading.add(written, known, decode(segment.slice(end + 1)))
    }
    const addUnusual = (segment: string, end: number, { name, known, isEntity }: Name): void => {
      const second = known === undefined && !isSplit ? findSecondQuery(segment, end, wireNames, decode) : undefined
      if (second !== undefined) {
        isSplit = true
        reading.repair(second.parameter, 'second-question-mark')
        if (second.mark > 0) add(segment.slice(0, second.mark))
        add(segment.slice(second.mark + 1))
        return
      }
      if (isEntity) reading.repair(known ?? name, 'amp-entity')
      reading.count(1)
      reading.add(name, known, decode(segment.slice(end + 1)))
    }

    for (let start = 0; start < raw.length;) {
      const ampersand = raw.indexOf('&', start)
      const end = ampersand === -1 ? raw.length : ampersand
      if (end > start) add(raw.slice(start, end))
      start = end + 1
    }
  })
}

interface Name {
  readonly name: string
  readonly known: ParameterName | undefined
  /** Whether `amp;` stood before it. */
  readonly isEntity: boolean
}

function readName(written: string, wireNames: WireNames, decode: Decoder): Name {
  const { text } = decode(written)
  const isEntity = text.startsWith('amp;')
  const name = isEntity ? text.slice('amp;'.length) : text
  return { name, known: wireNames.get(name), isEntity }
}

/**
 * The configured URL had a query and the sender appended `?conversion=…` to it: the first `?` behind which one of the ten stands, unless
 * one of the ten stands before it. What stands between a `?` and the next `=` is looked at once.
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

export function notAText(parameter: ParameterName): Issue {
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
    if (!isParameterName(documented)) {
      const near = closestName(documented, parameterNames)
      throw invalidOption('fields', `name parameters as they are documented: ${near}, not ${shown(documented)}`)
    }
    for (const name of [wire].flat()) {
      if (names.has(name))
        throw invalidOption('fields', `give each name one meaning: ${shown(name)} stands for two parameters`)
      names.set(name, documented)
    }
  }
  return names
}
