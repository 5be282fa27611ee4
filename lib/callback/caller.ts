import type { IncomingMessage } from 'node:http'
import { debug } from '../debug.js'
import { ConversionWebhookError } from '../errors.js'
import { highBytes } from '../util/decoding.js'
import { decodeSegment, tokenName, type Matcher } from './credentials.js'
import type { Route, WebhookRequest } from './route.js'
import { viaOf, type CredentialPlace, type Via } from './via.js'

/** Who may call. */
export interface CallerRules {
  /** Absent where no secret is configured. */
  readonly matchesSecret: Matcher | undefined
  readonly isAllowed: ((req: WebhookRequest) => boolean) | undefined
}

/**
 * The address, then the credential, before any parameter is decoded: of the query only `token` is looked for. Returns how the request came.
 * Throws `ERR_CONVERSION_ADDRESS_REJECTED` and `ERR_CONVERSION_CREDENTIAL_REJECTED`.
 */
export function requireCaller(req: WebhookRequest, route: Route, rules: CallerRules): Via {
  const isAllowed = rules.isAllowed?.(req)
  if (isAllowed === false) {
    debug.credentials('address not allowed')
    throw new ConversionWebhookError('ERR_CONVERSION_ADDRESS_REJECTED')
  }
  const { matchesSecret } = rules
  if (matchesSecret === undefined || route.secretIn) return viaOf(req, route.secretIn, isAllowed)
  const offered = candidates(req, route.query)
  // Each is compared, whatever the ones before it came to.
  const [right] = offered.filter(({ text }) => matchesSecret(text))
  if (right) return viaOf(req, right.place, isAllowed)
  debug.credentials('%d credentials, none right', offered.length)
  throw new ConversionWebhookError('ERR_CONVERSION_CREDENTIAL_REJECTED', {
    headers: { 'WWW-Authenticate': 'Basic realm="conversion webhook", charset="UTF-8", Bearer' },
  })
}

/**
 * A bare server has no next(): a path below the root is ours when its last segment is the secret, or when the request offers a credential
 * elsewhere. Throws `ERR_CONVERSION_PATH_UNKNOWN` for others, whatever their method.
 */
export function requireKnownPath(req: WebhookRequest, route: Route): void {
  if (!route.isDoubtful || candidates(req, route.query).length > 0) return
  debug.route('unknown path')
  throw new ConversionWebhookError('ERR_CONVERSION_PATH_UNKNOWN')
}

/** A text that may be meant as the secret. */
interface Candidate {
  readonly text: string
  readonly place: CredentialPlace
}

/** Every text outside the path that may be meant as the secret. Linear in the headers and the raw query. @internal */
export function candidates(req: IncomingMessage, query: string): Candidate[] {
  const found: Candidate[] = []
  const add = (place: CredentialPlace, texts: readonly string[]): void => {
    for (const text of texts) found.push({ text, place })
  }
  const [, scheme = '', value = ''] = /^(Bearer|Basic) +(.*)$/is.exec(req.headers.authorization ?? '') ?? []
  if (scheme.toLowerCase() === 'bearer') add('bearer', headerReadings(value.trim()))
  if (scheme.toLowerCase() === 'basic') {
    const pair = Buffer.from(value, 'base64').toString('utf8')
    add('basic', [pair.slice(pair.indexOf(':') + 1)])
  }
  const header = req.headers['x-webhook-secret']
  if (typeof header === 'string') add('header', headerReadings(header))
  add('query', tokensIn(query))
  return found
}

/** Node reads the bytes of a header as latin1, and most clients send UTF-8. */
function headerReadings(header: string): string[] {
  const bytes = highBytes(header)
  return bytes ? [header, bytes.toString('utf8')] : [header]
}

/** So many texts of `token` are compared: the shop's own URL has one, and each costs at most four hashes. */
const maxTokens = 4

/**
 * The texts of the parameter `token` in a raw query, by one scan for its name: before the caller is known nothing else is decoded.
 * Where a sender appended a query to one that was there, `token` ends at the second `?`.
 */
function tokensIn(query: string): string[] {
  const found: string[] = []
  const start = `${tokenName}=`
  let tokens = 0
  for (let at = query.indexOf(start); at !== -1 && tokens < maxTokens; at = query.indexOf(start, at + 1)) {
    if (at > 0 && query[at - 1] !== '&' && !query.startsWith('&amp;', at - '&amp;'.length)) continue
    tokens++
    const ampersand = query.indexOf('&', at)
    const text = query.slice(at + start.length, ampersand === -1 ? query.length : ampersand)
    const mark = text.lastIndexOf('?')
    const texts = mark === -1 ? [text] : [text, text.slice(0, mark)]
    // A base64 secret that was pasted as it is holds a `+` that stands for itself.
    const readings = texts.flatMap((each) => (each.includes('+') ? [each, each.replaceAll('+', ' ')] : [each]))
    found.push(...readings.map(decodeSegment))
  }
  return found
}
