import { ConversionWebhookError } from '../../errors.js'
import { fieldsOf } from '../../util/fields-of.js'
import { closestName } from '../../util/closest-name.js'

/* Checks of the operators' arguments. An error says what the argument must be, and never repeats the argument, which may be personal. */

/** The fields of an operator's argument, none if it is undefined. Throws if it is no object, or has a field with another name. */
export function fieldsOfQuery(argument: unknown, names: readonly string[]): Readonly<Record<string, unknown>> {
  const fields = argument === undefined ? {} : fieldsOf(argument)
  if (fields === undefined) throw invalidQuery('the argument', 'be an object that can be read')
  const unknown = Object.keys(fields).find((name) => !names.includes(name))
  if (unknown === undefined) return fields
  const near = closestName(unknown, names)
  throw invalidQuery('every name', `be one of ${names.join(', ')}; the nearest to the unknown one is ${near}`)
}

export function requireWholeNumber(name: string, value: unknown, max: number): asserts value is number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 1 && value <= max) return
  throw invalidQuery(name, `be a whole number from 1 to ${String(max)}`)
}

export function optionalString(name: string, value: unknown): string | undefined {
  if (value === undefined || typeof value === 'string') return value
  throw invalidQuery(name, 'be a string')
}

export function requireId(id: unknown): asserts id is string {
  if (typeof id === 'string' && !id.includes('\0')) return // PostgreSQL fails for a string with a NUL character
  throw invalidQuery('an id', 'be a string without NUL characters')
}

export function invalidQuery(name: string, must: string): ConversionWebhookError {
  return new ConversionWebhookError('ERR_CONVERSION_QUERY_INVALID', { values: { name, must } })
}

/** In UTF-16 code units, at most two per character: an e-mail parameter has at most 320 characters. */
const maxAddressLength = 640
const maxAddresses = 1_000

/** The addresses to look for. Throws for a string that is no whole address: `@` or `example.com` would erase everybody. */
export function requireAddresses(email: unknown): readonly string[] {
  const addresses = typeof email === 'string' ? [email] : itemsOf(email)
  if (addresses !== undefined && addresses.length > 0 && addresses.every(isAddress)) return addresses
  throw invalidQuery('email', `be an e-mail address, or an array of 1 to ${String(maxAddresses)} of them`)
}

function itemsOf(list: unknown): readonly unknown[] | undefined {
  try {
    if (!Array.isArray(list) || list.length > maxAddresses) return undefined
    return Array.from({ length: list.length }, (_each, index): unknown => list[index])
  } catch {
    return undefined
  }
}

function isAddress(text: unknown): text is string {
  return typeof text === 'string' && text.length <= maxAddressLength && /^\s*\S.*@[^\s@]+\s*$/su.test(text)
}
