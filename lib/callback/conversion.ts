import { requireSync } from '../util/require-sync.js'
import type { Issue } from '../errors.js'
import { collect, type WireNames } from './params.js'
import { limitIssues, type Arrival, type Received, type Repair } from './received.js'
import { callbackSchema, isParameterName, isTemplate, parameterNames, type ParameterTexts } from './schema.js'
import { validate, type SchemaError } from './validator.generated.js'

/** The status that the platform reports. */
export type ConversionStatus = 'success' | 'fail' | 'pending'

interface ConversionFields<Custom> {
  /** Who referred a friend. */
  readonly referrer: {
    readonly name?: string
    readonly email?: string
    /** The referrer's number of conversions, as the platform counts. */
    readonly conversions?: number
    /** What the shop passed for the referrer: the string as sent, or the result of the option `parseCustomValue`. */
    readonly customValue?: Custom
  }
  /** The friend. */
  readonly referee: { readonly name?: string; readonly email?: string }
  /** A transaction id for a sale, the e-mail address or phone number for a registration, absent for an app install. Comes from the shopper's browser. */
  readonly orderId?: string
  /** Comes from the shopper's browser: pay from the amount of your own order instead. */
  readonly purchaseValue?: number
  /**
   * Whether this callback said that the referrer's goal is complete (the 5th conversion, if 5 earn the reward).
   * One callback can fire `success` *and* `goalComplete`: register the one you pay for.
   */
  readonly goalComplete: boolean
  /** The campaign or mount that the callback belongs to; empty unless a route parameter or the `scope` option names it. */
  readonly scope: string
  readonly receivedAt: Date
  /** Parameters that are none of the ten, as sent, without the credential. */
  readonly extra: Readonly<Record<string, string>>
  /** The ten by documented name: renamed and repaired, not yet trimmed, folded or mapped; blank ones are absent. */
  readonly params: Readonly<Record<string, string>>
  /** Every correction of a damaged value. */
  readonly repairs: readonly Repair[]
}

export type SuccessConversion<Custom = string> = ConversionFields<Custom> & { readonly status: 'success' }
export type FailConversion<Custom = string> = ConversionFields<Custom> & { readonly status: 'fail' }
export type PendingConversion<Custom = string> = ConversionFields<Custom> & { readonly status: 'pending' }

/** A valid callback as a typed object; `status` tells the three kinds apart. */
export type Conversion<Custom = string> = SuccessConversion<Custom> | FailConversion<Custom> | PendingConversion<Custom>

/** A valid callback as it is stored: strings only. Each delivery makes its typed conversion from them. */
export interface Callback extends Arrival {
  readonly status: ConversionStatus
  readonly params: Readonly<Record<string, string>>
  readonly extra: Readonly<Record<string, string>>
  readonly repairs: readonly Repair[]
  readonly scope: string
  /** Milliseconds since 1970. */
  readonly receivedAt: number
}

/** The options that decide how a callback is read. */
export interface ReadingRules {
  readonly wireNames: WireNames
  /** By a foreign status word in lower case, the status that it means. */
  readonly statuses: ReadonlyMap<string, ConversionStatus>
  /** The compiled `schema` option. */
  readonly checkSchema?: ((texts: Readonly<Record<string, string>>) => readonly Issue[]) | undefined
}

/** Names and the custom value stay as sent; the other parameters are trimmed. */
const readings = parameterNames.map((name) => ({
  name,
  isTrimmed: !['referrer_name', 'referee_name', 'referrer_customValue'].includes(name),
  isEmail: name.endsWith('_email'),
}))

type ReadCallback =
  | { readonly ok: true; readonly callback: Callback; readonly conversion: Conversion<unknown> }
  | { readonly ok: false; readonly issues: readonly [Issue, ...Issue[]] }

/** Makes a conversion of decoded pairs. Calls `parseCustomValue`, so that a value which it rejects refuses the callback. */
export function readCallback(
  received: Received,
  rules: ReadingRules,
  parseCustomValue: ((text: string) => unknown) | undefined,
  scope: string,
  receivedAt: number,
): ReadCallback {
  const result = interpret(received, rules, scope, receivedAt)
  if (!result.ok) return result
  try {
    return { ok: true, callback: result.callback, conversion: toConversion(result.callback, parseCustomValue) }
  } catch {
    const message = 'referrer_customValue was refused by the parseCustomValue option'
    return { ok: false, issues: [{ parameter: 'referrer_customValue', rule: 'customValue', message }] }
  }
}

/** Makes a callback of decoded pairs: sorts, repairs, trims, maps and checks. If there are issues from reading, only these are returned. */
function interpret(received: Received, rules: ReadingRules, scope: string, receivedAt: number) {
  const collected = collect(received, rules.wireNames)
  const unreadable = refusal(received.issues, collected.issues)
  if (unreadable) return unreadable

  const { extra } = collected
  const { via, carrier } = received
  let { params } = collected
  let { repairs } = received
  let checked: ParameterTexts | undefined // where the checked string is not the one that is kept
  for (const { name, isTrimmed, isEmail } of readings) {
    const text = params[name]
    if (text === undefined) continue
    const trimmed = text.trim()
    if (trimmed === '') {
      const { [name]: _blank, ...others } = params // a blank parameter counts as absent
      params = others
      continue
    }
    const repaired = isEmail && trimmed.includes(' ') ? repairPlus(trimmed) : trimmed
    if (repaired !== trimmed) {
      repairs = [...repairs, { parameter: name, kind: 'plus' }]
      params[name] = text.replace(trimmed, () => repaired)
    }
    if (isTrimmed && repaired !== params[name]) checked = { ...checked, [name]: repaired }
  }
  const word = (checked?.conversion ?? params.conversion)?.toLowerCase()
  const status = word === undefined ? undefined : (rules.statuses.get(word) ?? word)
  if (status !== undefined && status !== params.conversion) checked = { ...checked, conversion: status }

  const texts = checked ? { ...params, ...checked } : params
  const refused = refusal(checkParameters(texts), rules.checkSchema?.({ ...foreign(extra), ...texts }))
  if (refused) return refused
  const callback = { status: status as ConversionStatus, params, extra, repairs, scope, receivedAt, via, carrier }
  return { ok: true, callback: frozen(callback) } as const
}

/** Checks the ten parameters with the validator that is generated from `callbackSchema`. Returns one issue a parameter. @internal */
export function checkParameters(texts: ParameterTexts): readonly Issue[] {
  if (validate(texts)) return []
  const issues = new Map<string | undefined, Issue>()
  for (const error of validate.errors ?? []) {
    // Each alternative of `anyOf` has an error of its own; the error of `anyOf` itself is enough.
    if (error.schemaPath.startsWith('#/anyOf/')) continue
    const issue = issueOf(error, texts)
    if (!issues.has(issue.parameter)) issues.set(issue.parameter, issue)
  }
  return [...issues.values()]
}

function issueOf({ keyword: rule, instancePath, params }: SchemaError, texts: ParameterTexts): Issue {
  if (rule === 'anyOf') {
    const message = 'orderID or referee_email must be present: without them conversions cannot be told apart'
    return { rule: 'identity', message }
  }
  const parameter = instancePath.slice(1) || String(params.missingProperty)
  if (rule === 'required') return { parameter, rule, message: `${parameter} is missing` }
  if (!isParameterName(parameter)) return { parameter, rule, message: `${parameter} is not valid` }
  if (isTemplate(parameter, texts[parameter] ?? '')) {
    const message = `${parameter} is a template of the sender that was not filled in`
    return { parameter, rule: 'placeholder', message }
  }
  return { parameter, rule, message: `${parameter} ${callbackSchema.properties[parameter].description}` }
}

/** Unknown parameters for `schema`. A parameter that `fields` renames has a new name: one with its documented name is unknown and left out. */
function foreign(extra: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(extra).filter(([name]) => !isParameterName(name)))
}

function refusal(issues: readonly Issue[], more: readonly Issue[] = []) {
  if (issues.length === 0 && more.length === 0) return undefined
  const [first, ...rest] = limitIssues([...issues, ...more])
  return first && ({ ok: false, issues: [first, ...rest] } as const)
}

/** Turns spaces before the `@` back into `+`, which was sent unencoded. A quoted local part may hold spaces and stays as it is. */
function repairPlus(address: string): string {
  const at = address.lastIndexOf('@')
  if (at === -1 || address.startsWith('"') || address.includes(' ', at)) return address
  return address.slice(0, at).replaceAll(' ', '+') + address.slice(at)
}

/**
 * Makes the typed conversion of a checked callback. Called when the callback is accepted, and again for each delivery.
 * Throws only what `parseCustomValue` throws.
 */
export function toConversion(callback: Callback, parseCustomValue?: (text: string) => unknown): Conversion<unknown> {
  const { params, status, extra, repairs, scope } = callback
  const { referrer_customValue: custom, orderID, purchaseValue } = params
  const referrer: Writable<Conversion<unknown>['referrer']> = {}
  if (params.referrer_name !== undefined) referrer.name = params.referrer_name
  if (params.referrer_email !== undefined) referrer.email = params.referrer_email.trim()
  if (params.referrer_converts !== undefined) referrer.conversions = toNumber(params.referrer_converts)
  if (custom !== undefined) {
    referrer.customValue = parseCustomValue ? requireSync('parseCustomValue', parseCustomValue(custom)) : custom
  }
  const referee: Writable<Conversion['referee']> = {}
  if (params.referee_name !== undefined) referee.name = params.referee_name
  if (params.referee_email !== undefined) referee.email = params.referee_email.trim()
  return {
    status,
    referrer,
    referee,
    ...(orderID !== undefined && { orderId: orderID.trim() }),
    ...(purchaseValue !== undefined && { purchaseValue: toNumber(purchaseValue) }),
    goalComplete: params.goal_complete?.trim() === '1',
    scope,
    receivedAt: new Date(callback.receivedAt),
    extra,
    params,
    repairs,
  }
}

/** Freezes what a callback shares with the conversions that are made of it: a handler that changed it would change what is recorded. */
export function frozen(callback: Callback): Callback {
  Object.freeze(callback.params)
  Object.freeze(callback.extra)
  Object.freeze(callback.repairs)
  callback.repairs.forEach(Object.freeze)
  return callback
}

type Writable<T> = { -readonly [K in keyof T]: T[K] }

/** The schema accepts only decimals that a number holds exactly. Adding 0 turns -0 into 0. */
function toNumber(text: string): number {
  return Number(text) + 0
}
