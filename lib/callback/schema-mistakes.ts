import { isRecord } from '../util/kind-of.js'
import { documentedNames, type WireNames } from './params.js'
import { isParameterName, parameterNames, type ParameterName } from './schema.js'

/* Finds schemas that compile, but refuse every callback or check nothing, when the webhook is made. */

/** Fields of the conversion, by the parameter that each is made of. */
const fieldsOfConversion: ReadonlyMap<string, ParameterName> = new Map([
  ['status', 'conversion'],
  ['goalComplete', 'goal_complete'],
  ['referrer', 'referrer_email'],
  ['referee', 'referee_email'],
  ['conversions', 'referrer_converts'],
  ['customValue', 'referrer_customValue'],
])

/**
 * The documented name that was meant by another name: the same name in upper or lower case, a field of the conversion, or the wire name of a
 * renamed parameter. Undefined for the ten documented names, and for all other names, which may be the shop's own parameters.
 */
export function meantParameter(name: string, wireNames: WireNames = documentedNames): ParameterName | undefined {
  if (isParameterName(name)) return undefined
  const inOtherLetters = parameterNames.find((known) => known.toLowerCase() === name.toLowerCase())
  return wireNames.get(name) ?? inOtherLetters ?? fieldsOfConversion.get(name)
}

export type SchemaMistake = { readonly name: string; readonly near: string } | { readonly cannot: string }

/** The first mistake in a schema that compiles. */
export function findMistake(
  schema: Readonly<Record<string, unknown>>,
  wireNames: WireNames,
): SchemaMistake | undefined {
  for (const part of partsOf(schema)) {
    const properties = Object.entries(isRecord(part.properties) ? part.properties : {})
    const required = Array.isArray(part.required) ? part.required.filter((name) => typeof name === 'string') : []
    for (const name of [...required, ...properties.map(([property]) => property)]) {
      const near = meantParameter(name, wireNames)
      if (near !== undefined) return { name, near }
    }
    for (const [name, property] of properties) {
      const found = isRecord(property) ? findNumber(property) : undefined
      if (found !== undefined)
        return { cannot: `${name} has ${found}, and every parameter is a text: use pattern or enum` }
    }
  }
  const { additionalProperties, patternProperties, properties } = schema
  const mayHaveConversion = (isRecord(properties) && 'conversion' in properties) || patternProperties !== undefined
  if (additionalProperties !== false || mayHaveConversion) return undefined
  return { cannot: 'additionalProperties is false, and properties leaves conversion out, which every callback has' }
}

const listsOfParts = ['allOf', 'anyOf', 'oneOf']
const singleParts = ['if', 'then', 'else', 'not']

/** A schema and its subschemas that apply to the same object. */
function* partsOf(schema: Readonly<Record<string, unknown>>): Generator<Readonly<Record<string, unknown>>> {
  yield schema
  const inner = [...singleParts.map((key) => schema[key]), ...listsOfParts.map((key) => schema[key]).flat()]
  for (const part of inner) if (isRecord(part)) yield* partsOf(part)
}

const numeric = ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf']

/** The keywords for numbers in a property's schema: all parameters are strings. */
function findNumber(property: Readonly<Record<string, unknown>>): string | undefined {
  const types: readonly unknown[] = [property.type ?? 'string'].flat()
  if (!types.includes('string')) return `the type ${String(types[0])}`
  return numeric.find((keyword) => keyword in property)
}
