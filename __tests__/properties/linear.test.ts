import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { candidates, findNonCallback, viaOf } from '../../lib/callback/caller.js'
import { checkParameters } from '../../lib/callback/conversion.js'
import { bodyTypeOf } from '../../lib/callback/request.js'
import { Secrets } from '../../lib/callback/credentials.js'
import { componentDecoder, escapeHighBytes } from '../../lib/util/decoding.js'
import { jsonEntries } from '../../lib/callback/json.js'
import { collect, documentedNames, readQuery, withoutCredential } from '../../lib/callback/params.js'
import type { Pair } from '../../lib/callback/received.js'
import { routeFinder, type WebhookRequest } from '../../lib/callback/route.js'
import { isTemplate, parameterNames, type ParameterName } from '../../lib/callback/schema.js'
import { readValues } from '../../lib/callback/values.js'
import { addressFinder } from '../../lib/inbox/operators/addresses.js'
import { parseCallback, redactUrl } from '../../lib/index.js'
import { maskAddresses, maskEmail, maskName } from '../../lib/inspector/mask.js'
import { printable } from '../../lib/util/printable.js'
import { expectLinear, filled } from '../support/linear.js'

/*
 * Every step and every regular expression that reads what a stranger sent takes linear time. Each gets its worst inputs, doubled up to its
 * limit. A new step needs new rows here.
 */

/** The size of a request's headers and URL, as Node limits it. */
const headerLimit = 16_384
/** The size of a parameter's value. */
const characterLimit = 16_384

type Make = (size: number) => string
const runOf =
  (piece: string): Make =>
  (size) =>
    filled(piece, size)
/** A head, then one repeated piece, then a tail. */
const between =
  (head: string, piece: string, tail: string): Make =>
  (size) =>
    filled(`${head}${filled(piece, size - head.length - tail.length)}${tail}`, size)
/** The same with whole pieces only, so that the result is still JSON. */
const whole =
  (head: string, piece: string, tail: string): Make =>
  (size) =>
    head + filled(piece, Math.floor((size - head.length - tail.length) / piece.length) * piece.length) + tail
/** Two pieces, each repeated up to half of the size. */
const halves =
  (first: string, second: string, tail = ''): Make =>
  (size) =>
    filled(`${filled(first, size / 2)}${filled(second, size / 2 - tail.length)}${tail}`, size)

/** Queries that differ in what follows a `=` or `?`, and in the bytes that encode a character. */
const raw: Readonly<Record<string, Make>> = {
  'second ? before stray %': halves('?', '%', '='),
  'second ? before escapes': halves('?', '%41', '='),
  'a second ? a piece': runOf('?%='),
  'a second ? a known name without =': runOf('?orderID'),
  'many = and no ?': runOf('='),
  'many = behind a ?': between('a?', '=', ''),
  'a second ? at the end': between('', 'a?', '=b?conversion=success'),
  '&': runOf('&'),
  'amp;': runOf('amp;'),
  'stray %': between('a=', '%', ''),
  escapes: between('a=', '%41', ''),
  'escapes that are no UTF-8': between('a=', '%E9', '%'),
  'escapes of characters that are cut off': between('a=', '%F0%9F%98', ''),
  '+': between('a=', '+', ''),
  'names of names': between('orderID=A&', 'orderID', '=B'),
  'characters of two units': between('a=', '😀', ''),
  'bytes above ASCII': between('a=', escapeHighBytes('\u00e9'), ''),
}

describe.each(Object.entries(raw))('a query of %s', (_what, make) => {
  const decoders = ['utf-8', 'windows-1252', 'shift_jis'] as const
  const readAll = (query: string) =>
    decoders.map((charset) => {
      const decode = componentDecoder(charset)
      return readQuery(query, documentedNames, decode && { decode })
    })
  test('is read in linear time, within the limits and beyond them', () => {
    expectLinear(make, readAll, characterLimit)
    expectLinear(make, readAll, 4 * 65_536)
  })
  test('is parsed in linear time', () => {
    expectLinear(make, (query) => parseCallback(query), characterLimit)
    const valuesOf = (text: string) => ({ referrer_customValue: text, [text]: '', list: [text, [text]] })
    expectLinear(make, (text) => parseCallback(valuesOf(text)), characterLimit / 8)
  })
})

test.each(['amp;a=%&', 'orderID=A&', 'a?orderID=A&', 'a?%=&', '%E9=%E9&'])(
  '%s again and again is read in linear time',
  (piece) => {
    const most = 128 // parameters, nearly
    expectLinear(
      (count) => piece.repeat(count / 1.28),
      (query) => readQuery(query, documentedNames),
      most,
    )
  },
)

test.each(['\u00ff', '\u00e9a', 'a'])('bytes such as %j are escaped in linear time', (piece) => {
  expectLinear(runOf(piece), escapeHighBytes)
})

const json: Readonly<Record<string, Make>> = {
  'arrays in arrays': (size) => `{"orderID":${'['.repeat(size / 2 - 7)}${']'.repeat(size / 2 - 7)}}`,
  'objects in objects': (size) => `{"a":${'{"a":'.repeat(size / 6 - 3)}1${'}'.repeat(size / 6 - 3)}}`,
  'an array of arrays': whole('{"orderID":[', '[],', '[]]}'),
  'an array of another name': whole('{"a":[', '[],', '[]]}'),
  'an array of numbers': whole('{"a":[', '1,', '1]}'),
  members: (size) => `{${Array.from({ length: size / 16 }, (_, at) => `"${String(at).padStart(8)}":1`).join()}}`,
  'one member again and again': whole('{', '"orderID":"A",', '"a":1}'),
  'a member of objects': whole('{"a":{"b":[', '{"c":1},', '{}]}}'),
  'escaped quotes': whole('{"a":"', '\\"', '"}'),
  'escaped letters': whole('{"a":"', '\\u0041', '"}'),
  'a long name': whole('{"', 'a', '":1}'),
  blanks: whole('{', ' ', '"a":1}'),
  digits: whole('{"purchaseValue":1', '0', '}'),
  'no end': between('{"a":', '[', ''),
  'a string without end': whole('{"a":"', '\\"', ''),
}

test.each(Object.entries(json))('JSON of %s is read in linear time', (_what, make) => {
  const read = (text: string) => {
    try {
      return readValues(jsonEntries(text), documentedNames)
    } catch (error) {
      return error
    }
  }
  expectLinear(make, read)
  expectLinear(make, (text) => {
    try {
      return Array.from(jsonEntries(text))
    } catch (error) {
      return error
    }
  })
})

test('values of a body parser are read up to the limits', () => {
  const megabytes = 4_194_304
  const read = (value: unknown) => readValues(Object.entries({ a: value }), documentedNames)
  expectLinear((size) => filled('a', size), read, megabytes)
  expectLinear((size) => ({ b: filled('a', size) }), read, megabytes)
  expectLinear((size) => [[filled('a', size)]], read, megabytes)
  expectLinear((size) => Array.from({ length: size / 8 }, () => []), read, megabytes)
})

test('pairs are sorted in linear time', () => {
  const names = (size: number) => Array.from({ length: size / 8 }, (_, at) => `name${String(at)}`)
  const pairs = (size: number) => names(size).map((name): Pair => [name, ''])
  const repeated = (size: number) => names(size).map((text): Pair => ['orderID', text])
  for (const make of [pairs, repeated]) {
    expectLinear(make, (each) => collect({ pairs: each, issues: [], repairs: [] }, documentedNames), headerLimit)
  }
})

/* Strings that make a regular expression backtrack: a piece that matches again and again, and an end that does not match. */
const patternInputs = (name: ParameterName): Readonly<Record<string, Make>> => ({
  blanks: between('', ' ', 'x'),
  'blanks inside': between('a', ' ', 'b'),
  'blanks of other kinds': between('', '\u00a0\t', 'x'),
  'open brackets': between('', '{', 'x'),
  'brackets of all kinds': between('', '{[<%', 'x'),
  'open brackets and blanks': halves('{', ' ', 'x'),
  'blanks and open brackets': halves(' ', '{', 'x'),
  'a name in brackets and blanks': between(`{${name}`, ' ', 'x'),
  'a name in many brackets': between(`{${name}`, '}', 'x'),
  'a name in brackets, then blanks': between(`{${name}}`, ' ', 'x'),
  'a name in %': between(`%${name}`, '%', 'x'),
  'many names in brackets': runOf(`{${name}}`),
  '@': between('', '@', 'x'),
  'one @ behind much': between('', 'a', '@'),
  'one @ before much': between('a@', 'b', ' '),
  'blanks before an @': between('a', ' ', '@b'),
  'blanks before a blank @': between('a', ' ', '@b c'),
  zeros: between('', '0', 'x'),
  nines: between('', '9', 'x'),
  'zeros and nines': halves('0', '9', 'x'),
  points: between('', '0.', 'x'),
  'digits and points': between('0', '.1', 'x'),
  letters: between('', 'S', '\u0000'),
  'characters of two units': between('', '😀', '\u0000'),
})

describe('the rules of the ten', () => {
  test.each(Object.entries(patternInputs('orderID')))('judge %s in linear time', (_what, make) => {
    expectLinear(make, (text) => checkParameters(textsOf(text)), characterLimit)
    expectLinear(make, (text) => parseCallback(textsOf(text)), characterLimit / 16) // ten of them in all
  })
  test.each(parameterNames)('know the template of %s in linear time', (name) => {
    for (const make of [between(`{${name}`, ' ', 'x'), between(`%${name}`, '%', 'x'), runOf(`{${name}}`)]) {
      expectLinear(make, (text) => isTemplate(name, text), characterLimit)
    }
  })
})

function textsOf(text: string) {
  return Object.fromEntries(parameterNames.map((name) => [name, text]))
}

const secret = 'b64-of-24-random-bytes'
const secrets = new Secrets([secret])
const requestOf = (parts: object): WebhookRequest =>
  Object.assign(new IncomingMessage(new Socket()), { method: 'GET', url: '/' }, parts)

const urls: Readonly<Record<string, Make>> = {
  'many /': runOf('/'),
  'many / behind a segment': between('/a', '/', ''),
  'many segments': runOf('/a'),
  'segments as long as a secret': runOf('/0123456789abcdef'),
  'one segment': between('/', 'a', ''),
  'one segment of escapes': between('/', '%41', ''),
  'one segment of stray %': between('/', '%', ''),
  'letters of a scheme': between('', 'a', ':'),
  'a scheme and no host': between('http:', '/', ''),
  'a host and many @': between('http://', '@', '/'),
  'many schemes': runOf('a://'),
  'many ?': runOf('?'),
  'many #': between('/a', '#', ''),
}

test.each(Object.entries(urls))('a URL of %s is routed, scrubbed and redacted in linear time', (_what, make) => {
  expectLinear(make, redactUrl, headerLimit)
  const self = {}
  const findRoute = routeFinder(secrets)
  for (const hasNext of [true, false]) {
    expectLinear(
      (size) => requestOf({ url: make(size) }),
      (req) => findRoute(req, self, hasNext),
      headerLimit,
    )
  }
})

const headers: Readonly<Record<string, Make>> = {
  'blanks behind Bearer': between('Bearer', ' ', ''),
  'blanks around a secret': between('Bearer a', ' ', 'b'),
  'blanks behind Basic': between('Basic', ' ', ''),
  'base64 of Basic': between('Basic ', 'Ojo6', ''),
  'no base64 of Basic': between('Basic ', '=-', ''),
  'a scheme again and again': runOf('Bearer '),
  'purposes that begin': runOf('prefetc'),
  'more purposes that begin': runOf('ppreprevie'),
  '; of a type': between('application/json', ';', ''),
  'blanks of a type': between('application/json', ' ', 'x'),
  'parameters of a type': between('application/json', ';a=b', ''),
  'a quoted parameter of a type': between('application/json;a="', '\\"', ''),
  'a parameter of a type without end': between('application/json;a="', 'a', ''),
  'a type of +json': between('application/', '+json', ''),
}

test.each(Object.entries(headers))('a header with %s is read in linear time', (_what, make) => {
  expectLinear(
    (size) => requestOf({ headers: { authorization: make(size), 'x-webhook-secret': make(size) } }),
    (req) => candidates(req, '').filter(({ text }) => secrets.matches(text)),
    headerLimit,
  )
  expectLinear(
    (size) => requestOf({ headers: { 'sec-purpose': make(size), 'sec-fetch-dest': make(size) } }),
    (req) => findNonCallback(req, true),
    headerLimit,
  )
  expectLinear(make, bodyTypeOf, headerLimit)
  expectLinear(
    (size) => requestOf({ headers: { 'content-type': make(size), 'user-agent': make(size) } }),
    (req) => viaOf(req, undefined, undefined, secrets),
    headerLimit,
  )
})

const tokens: Readonly<Record<string, Make>> = {
  'tokens one after another': runOf('token=aaaaaaaaaaaaaaaaaaaa&'),
  'tokens without an end': runOf('token='),
  'names that end in token': runOf('xtoken=a&'),
  'a token of question marks': between('token=', '?', ''),
  'a token of stray percent signs': between('token=', '%', ''),
  'a token of escapes': between('token=', '%41', ''),
  'ampersands before a token': between('', '&amp;', 'token=aaaaaaaaaaaaaaaaaaaa'),
}

test.each(Object.entries(tokens))('a query with %s is searched for a token in linear time', (_what, make) => {
  const req = requestOf({})
  expectLinear(make, (query) => candidates(req, query).filter(({ text }) => secrets.matches(text)), headerLimit)
})

test.each(['%', '%2', '%41', secret.slice(0, -1), secret])('a scope of %s is searched in linear time', (piece) => {
  const others = new Secrets(['x'.repeat(20), `${secret}!`])
  expectLinear(runOf(piece), (text) => others.areIn(text), headerLimit)
})

test.each(['@', 'a@', 'a@b.', '%40', '"@', '<a@', '\u0301', '😀@', ' a', '.'])(
  '%s is masked in linear time',
  (piece) => {
    for (const step of [maskAddresses, maskEmail, maskName]) expectLinear(runOf(piece), step, characterLimit)
  },
)

test.each(['@', 'a@b', '%', '%25', '%40', '%E9', '\u0301', 'ß', '😀', 'jane@'])(
  'addresses are looked for in linear time in texts of %s',
  (piece) => {
    const find = addressFinder(['jane-doe@shop.example', 'ß@ß.example'])
    expectLinear(runOf(piece), (text) => find({ emails: [text], others: [text] }), characterLimit)
  },
)

test.each([secret, secret.slice(0, -1), 'b', 'a'])('secrets are masked in linear time in texts of %s', (piece) => {
  const both = new Secrets([secret, `${secret}-old`])
  expectLinear(
    (size) => ({ pairs: [[filled(piece, size / 2), filled(piece, size / 2)] as const], issues: [], repairs: [] }),
    (received) => withoutCredential(received, both, documentedNames),
    characterLimit,
  )
})

test.each(['\u202e', '\ud800', 'a', '\u0000', '😀', '\u200b\u200d'])('%j is made visible in linear time', (piece) => {
  expectLinear(runOf(piece), printable, characterLimit)
})

describe('this test', () => {
  /** A quadratic search for the second query: it decodes the rest of the segment at each `?`. */
  function findOnceAMark(segment: string): number {
    for (let mark = segment.indexOf('?'); mark !== -1; mark = segment.indexOf('?', mark + 1)) {
      const after = segment.slice(mark + 1)
      if (after.includes('=') && decodeLeniently(after.slice(0, after.indexOf('='))) === 'conversion') return mark
    }
    return -1
  }
  function decodeLeniently(text: string): string {
    return Array.from(text, (character) => (character === '%' ? '' : character)).join('')
  }

  test('fails for a step that reads the rest of the string repeatedly', () => {
    expect(() => {
      expectLinear(halves('?', '%', '='), findOnceAMark, 4_096)
    }).toThrow(/^Not linear: 256: .+ ms, 512: .+ ms, 1024: .+ ms, 2048: .+ ms, 4096: .+ ms$/)
  })

  test('fails for a regular expression that backtracks', () => {
    expect(() => {
      expectLinear(between('', ' ', 'x'), (text) => /\s+$/.test(text), 8_192)
    }).toThrow('Not linear')
  })
})
