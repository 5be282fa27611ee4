import fc from 'fast-check'
import { parseCallback, type CallbackInput, type ParseResult } from '../../lib/index.js'
import { parameterNames } from '../../lib/callback/schema.js'
import { cases } from '../support/cases.js'

/* Any input gives a conversion of strings, numbers and booleans, or issues with codes. */

const runs = { numRuns: cases(1_500) }

function isConversionOrIssues(result: ParseResult): void {
  if (!result.ok) {
    expect(result.issues.length).toBeGreaterThan(0)
    for (const { rule, message, parameter } of result.issues) {
      expect([typeof rule, typeof message]).toEqual(['string', 'string'])
      if (parameter !== undefined) expect(parameter).toEqual(expect.any(String))
    }
    return
  }
  const { status, referrer, referee, orderId, purchaseValue, goalComplete, extra, params, scope } = result.conversion
  expect(['success', 'fail', 'pending']).toContain(status)
  for (const text of [referrer.name, referrer.email, referrer.customValue, referee.name, referee.email, orderId]) {
    expect(['string', 'undefined']).toContain(typeof text)
  }
  for (const number of [referrer.conversions, purchaseValue]) {
    expect(number === undefined || Number.isFinite(number)).toBe(true)
  }
  for (const text of [scope, ...Object.values(extra), ...Object.values(params)]) expect(typeof text).toBe('string')
  expect(typeof goalComplete).toBe('boolean')
  expect(orderId ?? referee.email).toBeDefined()
  expect(parameterNames).toEqual(expect.arrayContaining(Object.keys(params)))
}

/** Lone surrogates cannot be encoded. */
const wellFormed = (text: string): string => Buffer.from(text).toString()

const name = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...parameterNames) },
  fc.constantFrom('__proto__', 'constructor', 'token', 'orderID[]', 'amp;orderID', 'a?orderID', ''),
  fc.string({ unit: 'binary' }),
)
const value = fc.oneof(
  fc.constantFrom(
    'success',
    'fail',
    'pending',
    '1',
    '0',
    '1000',
    '-1.50',
    'a@b.c',
    'bob tag@x.de',
    '%',
    '+',
    '%E9',
    '',
  ),
  fc.string({ unit: 'binary' }),
  fc.string({ unit: fc.constantFrom('%', 'E', '9', 'C', '3', '+', '&', '=', '?', ';', '\u0000', 'a') }),
)
const raw = fc.oneof(
  fc.array(fc.tuple(name, value)).map((pairs) => pairs.map((pair) => pair.join('=')).join('&')),
  fc
    .array(fc.tuple(name, value))
    .map((pairs) => pairs.map((pair) => pair.map((text) => encodeURIComponent(wellFormed(text))).join('=')).join('&')),
  fc.string({ unit: 'binary' }),
)

test('any query string', () => {
  fc.assert(
    fc.property(raw, (query) => {
      isConversionOrIssues(parseCallback(query))
      isConversionOrIssues(parseCallback(`?conversion=success&orderID=A&${query}`))
      isConversionOrIssues(parseCallback(new URLSearchParams(query)))
    }),
    runs,
  )
})

test('any values', () => {
  const anything = fc.anything({ withBigInt: true, withDate: true, withMap: true, withNullPrototype: true })
  const record = fc.dictionary(name, fc.oneof(value, anything))
  fc.assert(
    fc.property(fc.oneof(record, anything), (input) => {
      isConversionOrIssues(parseCallback(input as CallbackInput))
      const merged = typeof input === 'object' ? { conversion: 'success', orderID: 'A', ...input } : input
      isConversionOrIssues(parseCallback(merged as CallbackInput))
    }),
    runs,
  )
})

/* A callback, and the ways in which senders encode it. */
const freeText = fc
  .string({ unit: 'grapheme', maxLength: 60 })
  .filter((text) => text.trim() !== '' && !text.includes('\0') && wellFormed(text) === text && !/[{[<%]/.test(text))
const decimal = fc
  .tuple(fc.boolean(), fc.nat({ max: 999_999_999 }), fc.option(fc.nat({ max: 999_999 })))
  .map(
    ([isNegative, whole, part]) => `${isNegative ? '-' : ''}${String(whole)}${part === null ? '' : `.${String(part)}`}`,
  )
const address = fc
  .tuple(fc.stringMatching(/^[a-z0-9+._-]{1,20}$/), fc.domain())
  .map(([local, domain]) => `${local}@${domain}`)
const meant = fc.record(
  {
    conversion: fc.constantFrom('success', 'fail', 'pending'),
    referrer_name: freeText,
    referrer_email: address,
    referee_name: freeText,
    referee_email: address,
    orderID: fc.stringMatching(/^[A-Za-z0-9#/&=?+ -]{1,40}$/).filter((text) => text.trim() === text),
    purchaseValue: decimal,
    referrer_converts: fc.nat().map(String),
    referrer_customValue: freeText,
    goal_complete: fc.constantFrom('0', '1'),
  },
  { requiredKeys: ['conversion', 'orderID'] },
)

const strict = (text: string) => encodeURIComponent(text)
const form = (text: string) => strict(text).replaceAll('%20', '+')
const every = (text: string) =>
  Array.from(Buffer.from(text), (byte) => `%${byte.toString(16).padStart(2, '0')}`).join('')
const encodings: Readonly<Record<string, (entries: readonly (readonly [string, string])[]) => CallbackInput>> = {
  'percent escapes': (entries) => entries.map((pair) => pair.map(strict).join('=')).join('&'),
  'form encoding': (entries) => entries.map((pair) => pair.map(form).join('=')).join('&'),
  'an escape for every byte': (entries) => entries.map((pair) => pair.map(every).join('=')).join('&'),
  URLSearchParams: (entries) => new URLSearchParams(Object.fromEntries(entries)),
  'a URL': (entries) =>
    new URL(`https://shop.example/webhook?${String(new URLSearchParams(Object.fromEntries(entries)))}`),
  'a record': (entries) => Object.fromEntries(entries),
  'another order': (entries) =>
    entries
      .toReversed()
      .map((pair) => pair.map(strict).join('='))
      .join('&'),
  'the second query of a URL': (entries) => `x=1?${entries.map((pair) => pair.map(strict).join('=')).join('&')}`,
}

test.each(Object.entries(encodings))('a callback has the same parameters in every encoding: %s', (_way, encode) => {
  fc.assert(
    fc.property(meant, (values) => {
      const entries = Object.entries(values).filter((entry): entry is [string, string] => typeof entry[1] === 'string')
      const result = parseCallback(encode(entries))
      if (!result.ok) throw new Error(JSON.stringify(result.issues))
      const { conversion } = result
      expect(conversion.params).toEqual(values)
      expect({
        status: conversion.status,
        orderId: conversion.orderId,
        name: conversion.referrer.name,
        custom: conversion.referrer.customValue,
        email: conversion.referee.email,
        amount: conversion.purchaseValue,
        count: conversion.referrer.conversions,
        goal: conversion.goalComplete,
      }).toEqual({
        status: values.conversion,
        orderId: values.orderID,
        name: values.referrer_name,
        custom: values.referrer_customValue,
        email: values.referee_email,
        amount: values.purchaseValue === undefined ? undefined : Number(values.purchaseValue) + 0,
        count: values.referrer_converts === undefined ? undefined : Number(values.referrer_converts),
        goal: values.goal_complete === '1',
      })
    }),
    { numRuns: cases(200) },
  )
})
