import type { Params } from './dummy.js'

/** A request that the platform should never send, and the answer of this package's webhook. */
export interface BrokenRequest {
  /** Says in the output what is wrong with the request. */
  readonly what: string
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  /** Makes the raw query, without `?`, from the ten parameters of a valid callback. */
  readonly query?: (params: Params) => string
  readonly body?: (params: Params) => string
  readonly cutAfter?: number
  /** The request is sent with one character of the credential changed. */
  readonly isForged?: true
  readonly expected: readonly (number | 'no answer')[]
}

const encode = (params: Params): string => new URLSearchParams(params).toString()
const withText = (name: string, text: string) => (params: Params) => encode({ ...params, [name]: text })
const withRaw = (name: string, raw: string) => (params: Params) =>
  `${encode(Object.fromEntries(Object.entries(params).filter(([other]) => other !== name)))}&${name}=${raw}`
const json = { 'Content-Type': 'application/json' }

const brokenRequests = {
  'no-status': { what: 'no conversion', query: ({ conversion: _, ...rest }) => encode(rest), expected: [422] },
  'unknown-status': { what: 'an unknown status', query: withText('conversion', 'maybe'), expected: [422] },
  'no-identity': {
    what: 'neither an order nor addresses',
    query: ({ conversion = '' }) => encode({ conversion }),
    expected: [422],
  },
  'bad-value': { what: 'a price with a currency', query: withText('purchaseValue', '$ 1,000'), expected: [422] },
  'bad-email': { what: 'an address without @', query: withText('referrer_email', 'nobody'), expected: [422] },
  'bad-goal': { what: 'a goal that is neither 0 nor 1', query: withText('goal_complete', 'yes'), expected: [422] },
  placeholder: {
    what: 'a template that was not filled in',
    query: withText('orderID', '{{orderID}}'),
    expected: [422],
  },
  repeated: {
    what: 'one parameter with two values',
    query: (params) => `${encode(params)}&orderID=another`,
    expected: [400],
  },
  'bad-escape': { what: 'a percent sign alone', query: withRaw('orderID', '%zz'), expected: [400] },
  'bad-bytes': { what: 'bytes that are not UTF-8', query: withRaw('orderID', '%ff'), expected: [400] },
  'too-many': {
    what: '1,001 parameters',
    query: (params) => `${encode(params)}${'&a=1'.repeat(1_001)}`,
    expected: [400],
  },
  visit: { what: 'a visit without parameters', query: () => '', expected: [204] },
  head: { what: 'HEAD', method: 'HEAD', query: encode, expected: [204] },
  options: { what: 'OPTIONS', method: 'OPTIONS', query: encode, expected: [204] },
  delete: { what: 'DELETE', method: 'DELETE', query: encode, expected: [405] },
  prefetch: {
    what: 'a prefetch of the URL',
    headers: { 'Sec-Purpose': 'prefetch' },
    query: encode,
    expected: [403],
  },
  forged: { what: 'a wrong secret', query: encode, isForged: true, expected: [401, 404] },
  'bad-json': {
    what: 'JSON that ends early',
    method: 'POST',
    headers: json,
    body: () => '{"orderID":',
    expected: [400],
  },
  'no-object': { what: 'a JSON array', method: 'POST', headers: json, body: () => '[1, 2]', expected: [422] },
  'bad-type': {
    what: 'a body of another type',
    method: 'POST',
    headers: { 'Content-Type': 'text/xml' },
    body: () => '<conversion/>',
    expected: [415],
  },
  'too-big': {
    what: 'a body of 65 KiB',
    method: 'POST',
    headers: json,
    body: (params) => JSON.stringify({ ...params, note: 'x'.repeat(65 * 1024) }),
    expected: [413],
  },
  'cut-off': {
    what: 'a body that is cut off',
    method: 'POST',
    headers: json,
    body: (params) => JSON.stringify(params),
    cutAfter: 20,
    expected: ['no answer'],
  },
} as const satisfies Readonly<Record<string, BrokenRequest>>

export type BrokenKind = keyof typeof brokenRequests

export const brokenKinds = Object.keys(brokenRequests) as readonly BrokenKind[]

export function brokenRequest(kind: BrokenKind): BrokenRequest {
  return brokenRequests[kind]
}
