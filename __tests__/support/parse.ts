import { parseCallback, type CallbackInput, type Conversion, type ParseOptions } from '../../lib/index.js'

/** The conversion of a valid input. A refused one fails the test with its issues. */
export function conversionOf<Custom = string>(
  input: CallbackInput,
  options?: ParseOptions<Custom>,
): Conversion<Custom> {
  const result = parseCallback(input, options)
  if (!result.ok) throw new Error(`refused: ${JSON.stringify(result.issues)}`)
  return result.conversion
}

/** The issues of an input; an empty array if the input is valid. */
export function issuesOf(input: CallbackInput, options?: ParseOptions<unknown>) {
  const result = parseCallback(input, options)
  return result.ok ? [] : result.issues
}

/** The issues as short strings: `purchaseValue pattern`. */
export function rulesOf(input: CallbackInput, options?: ParseOptions<unknown>): string[] {
  return issuesOf(input, options).map(({ parameter = '-', rule }) => `${parameter} ${rule}`)
}
