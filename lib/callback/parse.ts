import { types } from 'node:util'
import { readCallback, type Conversion } from './conversion.js'
import { invalidOption, type Issue } from '../errors.js'
import type { Secrets } from './credentials.js'
import { readQuery, type WireNames } from './params.js'
import type { Received } from './received.js'
import { aScope, isScope, scopeHoldsSecret } from './route.js'
import type { ReadingOptions } from './reading-options.js'
import { documentedRules, readingOptionNames, readingRules, requireOptions } from './reading-options.js'
import { entriesOf, readValues } from './values.js'

/** A callback in any form: a query string (with or without `?`), a URL with a query, or parsed values. */
export type CallbackInput = string | URL | URLSearchParams | Readonly<Record<string, unknown>>

export interface ParseOptions<Custom = string> extends ReadingOptions<Custom> {
  /** The conversion's `scope`. @defaultValue '' */
  readonly scope?: string
  /** The conversion's `receivedAt`. @defaultValue now */
  readonly receivedAt?: Date
}

export type ParseResult<Custom = string> =
  | { readonly ok: true; readonly conversion: Conversion<Custom> }
  | { readonly ok: false; readonly issues: readonly [Issue, ...Issue[]] }

/**
 * Makes a typed conversion of a callback, without HTTP, credential or inbox. Never throws for bad input; bad options throw as in
 * `conversionWebhook`. Compiles a `schema` at each call, which is slow: for many callbacks use `webhook.accept`.
 */
export function parseCallback<Custom = string>(
  input: CallbackInput,
  options: ParseOptions<Custom> = {},
): ParseResult<Custom> {
  requireOptions(options, parseOptionNames)
  const { fields, statuses, schema, parseCustomValue, scope = '', receivedAt = new Date() } = options
  const isPlain = [fields, statuses, schema, parseCustomValue].every((option) => option === undefined)
  const rules = isPlain ? documentedRules : readingRules(options)
  requireScope(scope)
  if (!types.isDate(receivedAt) || Number.isNaN(receivedAt.getTime())) {
    throw invalidOption('receivedAt', 'be a valid Date')
  }
  const result = readCallback(readInput(input, rules.wireNames), rules, parseCustomValue, scope, receivedAt.getTime())
  if (!result.ok) return result
  return { ok: true, conversion: result.conversion as Conversion<Custom> }
}

const parseOptionNames: readonly string[] = [...readingOptionNames, 'scope', 'receivedAt']

/** Throws `ERR_CONVERSION_OPTION_INVALID` if the value is no scope, or holds a secret. */
export function requireScope(scope: unknown, secrets?: Secrets): asserts scope is string {
  if (!isScope(scope)) throw invalidOption('scope', `be ${aScope}`)
  if (secrets?.areIn(scope) === true) throw scopeHoldsSecret()
}

/** Reads any input. An input of no known form has no parameters. */
export function readInput(input: unknown, wireNames: WireNames): Received {
  if (typeof input === 'string') return readQuery(queryOf(input), wireNames)
  try {
    if (input instanceof URL) return readQuery(input.search.slice(1), wireNames)
    if (input instanceof URLSearchParams) return readValues(input, wireNames, { source: 'form' })
    return readValues(typeof input === 'object' && input !== null ? entriesOf(input) : [], wireNames)
  } catch {
    const message = 'the callback is an object that throws when it is read'
    return { pairs: [], issues: [{ rule: 'type', message }], repairs: [] }
  }
}

/** The part after the first `?`, or the whole string if it is no URL or path. */
function queryOf(text: string): string {
  return /^(?:\?|\/|https?:\/\/)/i.test(text) ? text.slice(text.indexOf('?') + 1 || text.length) : text
}
