import { randomBytes } from 'node:crypto'
import { isLoopback } from './arguments.js'
import { isAnswer, type Answer, type Asked, type HttpClient, type NoAnswer } from './client.js'
import { credentialOf } from './credential.js'
import { labelOf } from './tally.js'
import { queryOf, type Target } from './target.js'

/** What is wrong with an endpoint, and what to do about it. */
export interface Finding {
  readonly what: string
  readonly fix: string
}

/** A deployed endpoint, and a way to send it requests that report no conversion. */
export interface Probe {
  readonly target: Target
  /** The answer to a visit without parameters: 204 from this package's webhook. */
  readonly visit: Answer
  /** Sends a raw query, with the credential unless another target is given. */
  readonly ask: (query: string, asked?: Asked, target?: Target) => Promise<Answer | NoAnswer>
}

export interface Check {
  /** What is true of the endpoint when the check finds nothing. */
  readonly promise: string
  /** Another check. If that one found something, this check is skipped: it could report a conversion. */
  readonly needs?: string
  readonly find: (probe: Probe) => Promise<Finding | undefined>
}

export function probe(client: HttpClient, target: Target): Pick<Probe, 'target' | 'ask'> {
  return {
    target,
    ask: (query, { headers, ...asked } = {}, { url, headers: credential } = target) =>
      client.ask(url, queryOf(url, query), { ...asked, headers: { ...credential, ...headers } }),
  }
}

const prefetch = { 'Sec-Purpose': 'prefetch' }
const isGood = (answer: Answer | NoAnswer): boolean => isAnswer(answer) && answer.status >= 200 && answer.status < 300
/** A query that no cache has seen. */
const nonce = (): string => randomBytes(8).toString('hex')

/** The checks that `doctor` makes after the visit, by the name that it prints with a finding. */
export const checks = {
  https: {
    promise: 'the URL is https',
    find: ({ target: { url } }) =>
      found(url.protocol !== 'https:' && !isLoopback(url.hostname), {
        what: 'over http anybody between sender and app can read the secret and the customer data',
        fix: 'serve the webhook over https, and paste the https URL into the campaign',
      }),
  },
  'secret-missing': {
    promise: 'there is a credential, and nothing is answered without it',
    async find({ target, ask }) {
      const credential = credentialOf(target)
      const fix =
        'set CONVERSION_WEBHOOK_SECRET (conversion-webhook url makes one), restart the app, and paste the new URL'
      if (credential === undefined) return { what: 'the URL is answered without any credential', fix }
      const answer = await ask('', {}, credential.without)
      const isOpen = isAnswer(answer) && answer.status === 204
      return found(isOpen, { what: 'the webhook answers the same when the credential is left out', fix })
    },
  },
  'secret-ignored': {
    promise: 'a wrong secret is turned away',
    async find({ target, ask }) {
      const credential = credentialOf(target)
      if (credential === undefined) return undefined
      const answer = await ask('', {}, credential.forged)
      return found(isGood(answer), {
        what: `a wrong secret in ${credential.place} is answered with ${labelOf(answer)}`,
        fix: 'give the secret to conversionWebhook (or the environment), and let nothing in front of it answer for all paths',
      })
    },
  },
  head: {
    promise: 'HEAD is answered and never processed',
    // Sent as a prefetch, which the webhook refuses: if a proxy turns the HEAD into a GET, no conversion is reported.
    async find({ ask }) {
      const answer = await ask(nonce(), { method: 'HEAD', headers: prefetch })
      return found(!isAnswer(answer) || answer.status !== 204, {
        what: `HEAD is answered with ${labelOf(answer)} instead of 204: link checkers and mail scanners would report conversions`,
        fix: 'let HEAD through to the webhook as HEAD: look for a cache, proxy or route in front that turns it into a GET',
      })
    },
  },
  prefetch: {
    promise: 'a prefetch or preview is refused',
    async find({ ask }) {
      const answer = await ask(nonce(), { headers: prefetch })
      return found(!isAnswer(answer) || answer.status !== 403, {
        what: `a prefetch is answered with ${labelOf(answer)} instead of 403: previews of the URL would report conversions`,
        fix: 'let the headers Sec-Purpose, Purpose and X-Moz through to the webhook',
      })
    },
  },
  cache: {
    promise: 'no answer comes from a cache',
    async find({ ask, visit }) {
      const query = nonce()
      const answers = [visit, await ask(query), await ask(query)].filter(isAnswer)
      const cached = answers.some(isFromCache)
      const isKept = answers.some(({ headers }) => !/no-store/i.test(headers['cache-control'] ?? ''))
      return found(cached || isKept, {
        what: cached
          ? 'answers come from a cache: a conversion that is reported again would never arrive'
          : 'the header Cache-Control: no-store does not arrive: a cache may keep answers, and conversions with them',
        fix: 'exclude the path of the webhook from every cache and CDN, and let its Cache-Control header through',
      })
    },
  },
  'second-question-mark': {
    promise: 'a second ? in the URL gets through',
    async find({ ask }) {
      const answer = await ask(`doctor=${nonce()}?doctor=1`)
      return found(isRefused(answer), {
        what: `a second ? in the URL is answered with ${labelOf(answer)}: some senders append ?conversion=… to any URL`,
        fix: 'allow it in the rules of the proxy or firewall in front, or use a URL without a query',
      })
    },
  },
  'long-query': {
    promise: 'a query of 6 KiB gets through',
    async find({ ask }) {
      const answer = await ask(`doctor=${'x'.repeat(6 * 1024)}`)
      return found(isRefused(answer), {
        what: `a query of 6 KiB is answered with ${labelOf(answer)}: conversions with long names or values would be lost`,
        fix: 'raise the limit for request lines in front of the app (nginx: large_client_header_buffers 4 16k)',
      })
    },
  },
  'non-ascii': {
    promise: 'names in any script get through',
    async find({ ask }) {
      const answer = await ask(`doctor=${encodeURIComponent('Łukasz 山田 <b>&"')}&latin=%E9%20100%`)
      return found(isRefused(answer), {
        what: `a name with letters beyond ASCII, < and a stray % is answered with ${labelOf(answer)}`,
        fix: 'allow them in the rules of the proxy or firewall in front: such names are real',
      })
    },
  },
  'body-limit': {
    promise: 'a body of 60 KiB gets through',
    // Sent as a prefetch, which the webhook refuses before it reads the body: another answer comes from something in front.
    needs: 'prefetch',
    async find({ ask }) {
      const body = JSON.stringify({ doctor: 'x'.repeat(60 * 1024) })
      const headers = { ...prefetch, 'Content-Type': 'application/json' }
      const answer = await ask('', { method: 'POST', headers, body })
      return found(!isAnswer(answer) || answer.status !== 403, {
        what: `a POST of 60 KiB, sent as a prefetch, is answered with ${labelOf(answer)} instead of 403: something in front limits bodies or refuses POST`,
        fix: 'mount the webhook before express.json() and the like, and raise the limit in front of the app (nginx: client_max_body_size 64k)',
      })
    },
  },
} as const satisfies Readonly<Record<string, Check>>

function found(isWrong: boolean, finding: Finding): Promise<Finding | undefined> {
  return Promise.resolve(isWrong ? finding : undefined)
}

function isRefused(answer: Answer | NoAnswer): boolean {
  return !isAnswer(answer) || answer.status !== 204
}

function isFromCache({ headers }: Answer): boolean {
  const hits = ['x-cache', 'cf-cache-status', 'x-cache-status', 'x-proxy-cache', 'x-varnish-cache', 'cache-status']
  return Number(headers.age ?? 0) > 0 || hits.some((name) => /\bhit\b/i.test(String(headers[name] ?? '')))
}
