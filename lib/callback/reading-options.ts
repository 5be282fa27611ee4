import { ConversionWebhookError, invalidOption, type Issue } from '../errors.js'
import { closestName, shown } from '../util/closest-name.js'
import { fieldsOf } from '../util/fields-of.js'
import { isFunction, isRecord, kindOf } from '../util/kind-of.js'
import type { ConversionStatus, ReadingRules } from './conversion.js'
import { documentedNames, type WireNames } from './params.js'
import { findMistake, type SchemaMistake } from './schema-mistakes.js'
import { callbackSchema, isParameterName, parameterNames, type ParameterName } from './schema.js'

/** A JSON Schema as an object; ajv checks it. */
export type JsonSchema = Readonly<Record<string, unknown>>

/** The options of `conversionWebhook` and `parseCallback` about reading a callback. */
export interface ReadingOptions<Custom = string> {
  /**
   * A JSON Schema (draft-07, or 2020-12 if `$schema` says so) that the parameters must satisfy too: trimmed strings by documented name,
   * unknown parameters by their own. Compiled once; a schema that does not compile throws `ERR_CONVERSION_SCHEMA_INVALID`.
   */
  readonly schema?: JsonSchema | undefined
  /** Documented name to the name or names used on the wire, for renamed body keys. A listed name replaces the documented one. */
  readonly fields?: Readonly<Partial<Record<ParameterName, string | readonly string[]>>> | undefined
  /** Other words for the status, in upper or lower case, such as `{ approved: 'success' }`. */
  readonly statuses?: Readonly<Record<string, ConversionStatus>> | undefined
  /**
   * Makes `conversion.referrer.customValue` from the string that was sent. Called when the callback is accepted, which a throw refuses (422),
   * and again for each delivery, since only the string is stored. Annotate its parameter, so that handlers infer its result.
   */
  readonly parseCustomValue?: ((text: string) => Custom) | undefined
}

const noStatuses: ReadonlyMap<string, ConversionStatus> = new Map()

/** The rules of a webhook without options. */
export const documentedRules: ReadingRules = { wireNames: documentedNames, statuses: noStatuses }

export const readingOptionNames: readonly string[] = Object.keys({
  schema: true,
  fields: true,
  statuses: true,
  parseCustomValue: true,
} satisfies Record<keyof ReadingOptions, true>)

/**
 * Reads each option once. Throws `ERR_CONVERSION_OPTION_INVALID` if the argument is no object, and `ERR_CONVERSION_OPTION_UNKNOWN` for a
 * name that is not in `names`; a name in `handlerNames` belongs into the first argument, and the error says so.
 */
export function requireOptions(
  options: unknown,
  names: readonly string[],
  handlerNames: readonly string[] = [],
): Readonly<Record<string, unknown>> {
  const fields = fieldsOf(options)
  if (fields === undefined) throw invalidOption('The second argument', 'be an object of options', options)
  for (const name of Object.keys(fields)) {
    if (names.includes(name)) continue
    throw new ConversionWebhookError('ERR_CONVERSION_OPTION_UNKNOWN', {
      values: { name: shown(name), near: closestName(name, names), isHandler: handlerNames.includes(name) },
    })
  }
  return fields
}

/** Checks the options and compiles the schema. Throws `ERR_CONVERSION_OPTION_INVALID` or `ERR_CONVERSION_SCHEMA_INVALID`. */
export function readingRules({
  fields,
  statuses,
  schema,
  parseCustomValue,
}: Readonly<Partial<Record<keyof ReadingOptions, unknown>>>) {
  if (parseCustomValue !== undefined && !isFunction(parseCustomValue)) {
    throw invalidOption('parseCustomValue', 'be a function', parseCustomValue)
  }
  const wireNames = fields === undefined ? documentedNames : resolveFields(fields)
  return {
    wireNames,
    statuses: statuses === undefined ? noStatuses : resolveStatuses(statuses),
    checkSchema: schema === undefined ? undefined : compileSchema(schema, wireNames),
    parseCustomValue,
  } satisfies ReadingRules & { readonly parseCustomValue: unknown }
}

const fieldsMap = "map documented names to wire names, such as { orderID: 'order_no' }"
const statusesMap = "map foreign words to statuses, such as { approved: 'success' }"
const otherWay = ', and not the other way round'

function resolveFields(fields: unknown): WireNames {
  const isNames = (value: unknown) => {
    const names: readonly unknown[] = [value].flat()
    return names.length > 0 && names.every((name) => typeof name === 'string' && name !== '')
  }
  if (!isRecord(fields) || !Object.values(fields).every(isNames)) {
    throw invalidOption('fields', fieldsMap)
  }
  const isReversed = Object.entries(fields).some(
    ([documented, wire]) => !isParameterName(documented) && typeof wire === 'string' && isParameterName(wire),
  )
  if (isReversed) throw invalidOption('fields', `${fieldsMap}${otherWay}`)
  const names = new Map(documentedNames)
  for (const documented of Object.keys(fields)) names.delete(documented)
  for (const [documented, wire] of Object.entries(fields as Readonly<Record<string, string | readonly string[]>>)) {
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

function resolveStatuses(statuses: unknown): ReadonlyMap<string, ConversionStatus> {
  const known: readonly unknown[] = callbackSchema.properties.conversion.enum
  if (!isRecord(statuses)) throw invalidOption('statuses', statusesMap)
  const words = new Map<string, ConversionStatus>()
  for (const [foreign, status] of Object.entries(statuses)) {
    const word = foreign.trim().toLowerCase()
    if (!known.includes(status) && known.includes(word)) throw invalidOption('statuses', `${statusesMap}${otherWay}`)
    if (!known.includes(status)) throw invalidOption(`statuses.${shown(foreign)}`, 'be success, fail or pending')
    if (known.includes(word))
      throw invalidOption(`statuses.${shown(foreign)}`, 'be left out: it is a status already, which keeps its meaning')
    if ((words.get(word) ?? status) !== status)
      throw invalidOption(`statuses.${shown(foreign)}`, 'mean what the same word in other letters means')
    words.set(word, status as ConversionStatus)
  }
  return words
}

interface AjvError {
  readonly keyword: string
  readonly instancePath: string
  readonly message?: string
  readonly params: Readonly<Record<string, unknown>>
}
interface AjvModule {
  readonly default: new (options: object) => {
    compile(schema: object): ((data: unknown) => unknown) & { errors?: AjvError[] | null }
  }
}

/** Compiles the `schema` option. Loads ajv's compiler only here: it takes longer to load than all of this package. */
function compileSchema(schema: unknown, wireNames: WireNames) {
  if (!isRecord(schema)) throw invalidSchema({ got: kindOf(schema) })
  if ('~standard' in schema) throw invalidSchema({ got: 'a schema of a library: of Zod, pass z.toJSONSchema(schema)' })
  if (schema.$async === true) throw invalidSchema({ got: 'one with $async' })
  const is2020 = String(schema.$schema).includes('2020-12')
  const { default: Ajv } = (is2020 ? require('ajv/dist/2020.js') : require('ajv')) as AjvModule
  const ajv = new Ajv({ allErrors: true, strictTypes: false, strictRequired: false })
  let validate: ReturnType<typeof ajv.compile>
  try {
    validate = ajv.compile(schema)
  } catch (error) {
    throw invalidSchema({ said: (error as Error).message }, error)
  }
  const mistake = findMistake(schema, wireNames)
  if (mistake !== undefined) throw invalidSchema(mistake)
  const named = new Set([
    ...Object.keys(callbackSchema.properties),
    ...Object.keys(isRecord(schema.properties) ? schema.properties : {}),
  ])
  return (texts: Readonly<Record<string, string>>): readonly Issue[] =>
    validate(texts) === true ? [] : (validate.errors ?? []).map((error) => issueOf(error, named))
}

function invalidSchema(values: SchemaMistake | { said: string } | { got: string }, cause?: unknown) {
  return new ConversionWebhookError('ERR_CONVERSION_SCHEMA_INVALID', { values, ...(cause !== undefined && { cause }) })
}

/** Makes an issue of an error of ajv. Repeats only names that stand in the schema, since other names came from the sender. */
function issueOf({ keyword, instancePath, params, message }: AjvError, named: ReadonlySet<string>): Issue {
  const path = instancePath === '' ? params.missingProperty : instancePath.slice(1)
  const parameter = typeof path === 'string' && named.has(path) ? { parameter: path } : {}
  return {
    ...parameter,
    rule: `schema:${keyword}`,
    message: `${parameter.parameter ?? 'the callback'} ${message ?? 'is not valid'}`,
  }
}
