/*
 * The rules of the ten parameters; no other file has any. A validator is generated from this schema (`npm run generate`). It checks strings
 * after `lib/callback/conversion.ts` has trimmed them, mapped the status, and dropped blank ones. This file imports no code, so that the
 * generator can load it without a build.
 */

/** Maximum lengths, in characters. */
const limits = { email: 320, name: 1_024, customValue: 8_192, orderID: 255 } as const

/** Matches a template that the sender did not fill in: the whole value is the parameter's own name in brackets or percent signs. */
function template(name: string): string {
  return `\\s*[$#]?[{[<%]+\\s*${name}\\s*[}\\]>%]+\\s*$`
}

/** Whether a value that the schema refuses is a template. */
export function isTemplate(name: ParameterName, text: string): boolean {
  return new RegExp(`^${template(name)}`, 'u').test(text)
}

/** A pattern of digits whose number is at most `limit`: JSON Schema has no `maximum` for strings. */
function digitsUpTo(limit: string): string {
  const smaller = Array.from(limit).flatMap((digit, index) =>
    digit === '0'
      ? []
      : [`${limit.slice(0, index)}[0-${String(Number(digit) - 1)}]\\d{${String(limit.length - index - 1)}}`],
  )
  return `^0{0,255}(?:\\d{1,${String(limit.length - 1)}}|${[...smaller, limit].join('|')})$`
}

const email = {
  type: 'string',
  pattern: `^(?=.{1,${String(limits.email)}}$)[^@\\s\\p{Cc}\\p{Cs}]+@[^@\\s\\p{Cc}\\p{Cs}]+$`,
  description: `must be an address with one @, without spaces or control characters, of at most ${String(limits.email)} characters`,
} as const

function freeText(name: string, limit: number) {
  return {
    type: 'string',
    pattern: `^(?!${template(name)})[^\\u0000]{0,${String(limit)}}$`,
    description: `must be at most ${String(limit)} characters without NUL`,
  } as const
}

/**
 * JSON Schema (draft-07 and later) of a callback's parameters: strings by documented name, after trimming and mapping.
 * Reuse it to describe the endpoint or to validate elsewhere; `parseCallback` applies it for you.
 */
export const callbackSchema = {
  $id: 'urn:conversion-webhook:callback',
  title: 'Referral conversion callback',
  type: 'object',
  properties: {
    conversion: {
      type: 'string',
      enum: ['success', 'fail', 'pending'],
      description: 'must be success, fail or pending',
    },
    referrer_name: freeText('referrer_name', limits.name),
    referrer_email: email,
    referee_name: freeText('referee_name', limits.name),
    referee_email: email,
    orderID: {
      type: 'string',
      // U+2800, Braille without a dot, is drawn as nothing, like the characters that are ignorable by default.
      pattern: `^(?!${template('orderID')})[^\\p{Cc}\\p{Cf}\\p{Cs}\\p{Default_Ignorable_Code_Point}\\u2800]{1,${String(limits.orderID)}}$`,
      description: `must be at most ${String(limits.orderID)} characters, without control characters and others that nobody sees`,
    },
    purchaseValue: {
      type: 'string',
      // At most 15 significant digits: a double holds every such decimal exactly.
      pattern: '^(?=.{1,255}$)(?=-?\\d+(?:\\.\\d+)?$)-?[0.]*(?:[1-9](?:\\.?\\d){0,14})?$',
      description: 'must be a plain decimal number of at most 15 significant digits, such as 1000 or 12.30',
    },
    referrer_converts: {
      type: 'string',
      pattern: digitsUpTo(String(Number.MAX_SAFE_INTEGER)),
      description: `must be a whole number from 0 to ${String(Number.MAX_SAFE_INTEGER)}`,
    },
    referrer_customValue: freeText('referrer_customValue', limits.customValue),
    goal_complete: { type: 'string', enum: ['0', '1'], description: 'must be 0 or 1' },
  },
  required: ['conversion'],
  // Without either, two conversions cannot be told apart.
  anyOf: [{ required: ['orderID'] }, { required: ['referee_email'] }],
} as const

/** One of the ten documented names. */
export type ParameterName = keyof typeof callbackSchema.properties

export function isParameterName(name: string): name is ParameterName {
  return Object.hasOwn(callbackSchema.properties, name)
}

/** The ten documented names, in the platform's order. */
export const parameterNames: readonly ParameterName[] = Object.keys(callbackSchema.properties).filter(isParameterName)

/** The strings that the schema checks. */
export type ParameterTexts = Partial<Record<ParameterName, string>>
