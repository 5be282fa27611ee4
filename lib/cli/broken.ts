import type { Asked, HttpClient } from './client.js'
import type { Params } from './dummy.js'
import { failure, painter, print, printJson, type Io } from './io.js'
import { credentialOf } from './target.js'

/** A request that the platform should never send, and the answer of this package's webhook. */
interface BrokenRequest extends Pick<Asked, 'method' | 'headers' | 'cutAfter'> {
  /** Says in the output what is wrong with the request. */
  readonly what: string
  /** Makes the raw query, without `?`, from the ten parameters of a valid callback. */
  readonly query?: (params: Params) => string
  /** Makes the body of a POST, which is JSON unless `headers` say otherwise. */
  readonly body?: (params: Params) => string
  /** The request is sent with one character of the credential changed. */
  readonly isForged?: true
  /** The statuses that are right; 0 for no answer. */
  readonly expected: readonly number[]
}

const encode = (params: Params): string => new URLSearchParams(params).toString()
const withText = (name: string, text: string) => (params: Params) => encode({ ...params, [name]: text })
const withRaw = (name: string, raw: string) => (params: Params) =>
  `${encode(Object.fromEntries(Object.entries(params).filter(([other]) => other !== name)))}&${name}=${raw}`

const brokenRequests: Readonly<Record<string, BrokenRequest>> = {
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
  prefetch: { what: 'a prefetch of the URL', headers: { 'Sec-Purpose': 'prefetch' }, query: encode, expected: [403] },
  forged: { what: 'a wrong secret', query: encode, isForged: true, expected: [401, 404] },
  'bad-json': { what: 'JSON that ends early', body: () => '{"orderID":', expected: [400] },
  'no-object': { what: 'a JSON array', body: () => '[1, 2]', expected: [422] },
  'bad-type': {
    what: 'a body of another type',
    headers: { 'Content-Type': 'text/xml' },
    body: () => '<conversion/>',
    expected: [415],
  },
  'too-big': {
    what: 'a body of 65 KiB',
    body: (params) => JSON.stringify({ ...params, note: 'x'.repeat(65 * 1024) }),
    expected: [413],
  },
  'cut-off': { what: 'a body that is cut off', body: (params) => JSON.stringify(params), cutAfter: 20, expected: [0] },
}

export const brokenKinds = Object.keys(brokenRequests)

type Result = NonNullable<Awaited<ReturnType<typeof sendOne>>>

/** Sends broken requests one after another, and prints whether each got an expected answer. */
export async function sendBroken(
  io: Io,
  client: HttpClient,
  params: Params,
  kinds: readonly string[],
  { json }: { readonly json?: true },
): Promise<void> {
  const results: Result[] = []
  for (const [kind, broken] of Object.entries(brokenRequests)) {
    if (io.interrupted.aborted) break
    if (!kinds.includes(kind)) continue
    const result = await sendOne(client, params, kind, broken)
    if (result === undefined) continue
    results.push(result)
    if (!json) print(io.out, lineOf(io, result))
  }
  if (json) printJson(io.out, { results })
  if (io.interrupted.aborted || results.some(({ isAsExpected }) => !isAsExpected)) throw failure()
}

/** Resolves with undefined if the credential should be forged and there is none. */
async function sendOne(
  client: HttpClient,
  params: Params,
  kind: string,
  { what, method, headers, query, body, cutAfter, isForged, expected }: BrokenRequest,
) {
  const target = isForged ? credentialOf(client.target)?.forged : client.target
  if (target === undefined) return undefined
  const all = { ...(body && { 'Content-Type': 'application/json' }), ...headers }
  const asked = { method: method ?? (body && 'POST'), headers: all, body: body?.(params), cutAfter }
  const { status, label } = await client.ask(query?.(params) ?? '', asked, target)
  const words = expected.map((each) => (each === 0 ? 'no answer' : String(each)))
  return { kind, what, answer: label, expected: words.join(' or '), isAsExpected: expected.includes(status) }
}

function lineOf(io: Io, { kind, what, answer, expected, isAsExpected }: Result): string {
  const paint = painter(io.out, io.env)
  const mark = isAsExpected ? paint('green', '✓') : paint('red', '✗')
  return `${mark} ${kind.padEnd(14)}  ${answer}  (${what}${isAsExpected ? '' : `; expected ${expected}`})`
}
