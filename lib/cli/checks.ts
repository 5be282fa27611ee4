import { randomBytes } from 'node:crypto'
import { isLoopback } from '../inspector/local.js'
import type { Answer, Asked, HttpClient } from './client.js'
import { credentialOf } from './target.js'

/** A check of a deployed endpoint. None of its requests reports a conversion. */
export type Check = {
  /** What is true of the endpoint when the check finds nothing. */
  readonly promise: string
  readonly fix: string
  /** Another check. If that one found something, this check is skipped: it could report a conversion. */
  readonly needs?: string
} & (Request | Search)

/** A check that sends one request. */
interface Request {
  readonly query: () => string
  readonly asked?: Asked
  /** The status of a good answer, 204 if not given. */
  readonly expected?: number
  /** What is wrong if another answer came. */
  readonly wrong: (label: string) => string
}

interface Search {
  /** Returns what is wrong. `visit` is the answer to a visit without parameters, which was 204. */
  readonly find: (client: HttpClient, visit: Answer) => string | undefined | Promise<string | undefined>
}

/** Makes a check. Resolves with what is wrong. */
export async function make(check: Check, client: HttpClient, visit: Answer): Promise<string | undefined> {
  if ('find' in check) return check.find(client, visit)
  const { status, label } = await client.ask(check.query(), check.asked)
  return status === (check.expected ?? 204) ? undefined : check.wrong(label)
}

const prefetch = { 'Sec-Purpose': 'prefetch' }

/** A query that no cache has seen. */
const nonce = (): string => randomBytes(8).toString('hex')

/** The checks that `doctor` makes after the visit, by the name that it prints with a finding. */
export const checks = {
  https: {
    promise: 'the URL is https, or http on this machine',
    find({ target: { url } }) {
      const isSafe = url.protocol === 'https:' || isLoopback(url.hostname)
      return isSafe ? undefined : 'over http anybody between sender and app can read the secret and the customer data'
    },
    fix: 'serve the webhook over https, and paste the https URL into the campaign',
  },
  'secret-missing': {
    promise: 'there is a credential, and nothing is answered without it',
    async find(client) {
      const credential = credentialOf(client.target)
      if (credential === undefined) return 'the URL is answered without any credential'
      const { status } = await client.ask('', {}, credential.without)
      return status === 204 ? 'the webhook answers the same when the credential is left out' : undefined
    },
    fix: 'set CONVERSION_WEBHOOK_SECRET (conversion-webhook url makes one), restart the app, and paste the new URL',
  },
  'secret-ignored': {
    promise: 'a wrong secret is turned away',
    async find(client) {
      const credential = credentialOf(client.target)
      if (credential === undefined) return undefined
      const { status, label } = await client.ask('', {}, credential.forged)
      const isLetIn = status >= 200 && status < 300
      return isLetIn ? `a wrong secret in ${credential.place} is answered with ${label}` : undefined
    },
    fix: 'give the secret to conversionWebhook (or the environment), and let nothing in front of it answer for all paths',
  },
  head: {
    promise: 'HEAD is answered and never processed',
    // Sent as a prefetch, which the webhook refuses: if a proxy turns the HEAD into a GET, no conversion is reported.
    query: nonce,
    asked: { method: 'HEAD', headers: prefetch },
    wrong: (label) =>
      `HEAD is answered with ${label} instead of 204: link checkers and mail scanners would report conversions`,
    fix: 'let HEAD through to the webhook as HEAD: look for a cache, proxy or route in front that turns it into a GET',
  },
  prefetch: {
    promise: 'a prefetch or preview is refused',
    query: nonce,
    asked: { headers: prefetch },
    expected: 403,
    wrong: (label) =>
      `a prefetch is answered with ${label} instead of 403: previews of the URL would report conversions`,
    fix: 'let the headers Sec-Purpose, Purpose and X-Moz through to the webhook',
  },
  cache: {
    promise: 'no answer comes from a cache',
    async find(client, visit) {
      const query = nonce()
      const answers = [visit, await client.ask(query), await client.ask(query)].filter(({ status }) => status !== 0)
      if (answers.some(isFromCache))
        return 'answers come from a cache: a conversion that is reported again would never arrive'
      return answers.every(({ headers }) => /no-store/i.test(headers['cache-control'] ?? ''))
        ? undefined
        : 'the header Cache-Control: no-store does not arrive: a cache may keep answers, and conversions with them'
    },
    fix: 'exclude the path of the webhook from every cache and CDN, and let its Cache-Control header through',
  },
  'second-question-mark': {
    promise: 'a second ? in the URL gets through',
    query: () => `doctor=${nonce()}?doctor=1`,
    wrong: (label) => `a second ? in the URL is answered with ${label}: some senders append ?conversion=… to any URL`,
    fix: 'allow it in the rules of the proxy or firewall in front, or use a URL without a query',
  },
  'long-query': {
    promise: 'a query of 6 KiB gets through',
    query: () => `doctor=${'x'.repeat(6 * 1024)}`,
    wrong: (label) => `a query of 6 KiB is answered with ${label}: conversions with long names or values would be lost`,
    fix: 'raise the limit for request lines in front of the app (nginx: large_client_header_buffers 4 16k)',
  },
  'non-ascii': {
    promise: 'names in any script get through',
    query: () => `doctor=${encodeURIComponent('Łukasz 山田 <b>&"')}&latin=%E9%20100%`,
    wrong: (label) => `a name with letters beyond ASCII, < and a stray % is answered with ${label}`,
    fix: 'allow them in the rules of the proxy or firewall in front: such names are real',
  },
  'body-limit': {
    promise: 'a body of 60 KiB gets through',
    // Sent as a prefetch, which the webhook refuses before it reads the body: another answer comes from something in front.
    needs: 'prefetch',
    query: () => '',
    asked: {
      method: 'POST',
      headers: { ...prefetch, 'Content-Type': 'application/json' },
      body: JSON.stringify({ doctor: 'x'.repeat(60 * 1024) }),
    },
    expected: 403,
    wrong: (label) =>
      `a POST of 60 KiB, sent as a prefetch, is answered with ${label} instead of 403: something in front limits bodies or refuses POST`,
    fix: 'mount the webhook before express.json() and the like, and raise the limit in front of the app (nginx: client_max_body_size 64k)',
  },
} as const satisfies Readonly<Record<string, Check>>

function isFromCache({ headers }: Answer): boolean {
  const hits = ['x-cache', 'cf-cache-status', 'x-cache-status', 'x-proxy-cache', 'x-varnish-cache', 'cache-status']
  return Number(headers.age ?? 0) > 0 || hits.some((name) => /\bhit\b/i.test(String(headers[name] ?? '')))
}
