import { isUtf8 } from 'node:buffer'
import type { IncomingMessage } from 'node:http'
import type net from 'node:net'
import type ipaddr from 'ipaddr.js'
import { debug } from '../debug.js'
import { ConversionWebhookError, invalidOption } from '../errors.js'
import { highBytes } from '../util/decoding.js'
import { detached } from '../util/detached.js'
import { endBefore } from '../util/printable.js'
import { decodeSegment, tokenName, type Secrets } from './credentials.js'
import type { CredentialPlace, Via } from './received.js'
import type { Route, WebhookRequest } from './route.js'

const methods = ['GET', 'POST', 'PUT']
const allow = { Allow: 'GET, HEAD, OPTIONS, POST, PUT' }
/** Headers that say why a client fetches ahead of its user. */
const purposeHeaders = ['sec-purpose', 'purpose', 'x-moz', 'x-purpose']

/** The answer to a request that reports no conversion. */
export type NonCallback =
  | { readonly status: 204; readonly headers?: Readonly<Record<string, string>> }
  | { readonly error: ConversionWebhookError }

/** How to answer a request that must not be processed; undefined if the request may be a callback. */
export function findNonCallback(
  { method = '', headers }: IncomingMessage,
  isProduction: boolean,
): NonCallback | undefined {
  if (method === 'HEAD') return { status: 204 }
  if (method === 'OPTIONS') return { status: 204, headers: allow }
  if (!methods.includes(method)) {
    return { error: new ConversionWebhookError('ERR_CONVERSION_METHOD_UNSUPPORTED', { headers: allow }) }
  }
  for (const name of purposeHeaders) {
    const purpose = headers[name]
    if (purpose !== undefined && /prefetch|prerender|preview/i.test(String(purpose))) {
      return { error: new ConversionWebhookError('ERR_CONVERSION_PREFETCH_REJECTED') }
    }
  }
  const destination = headers['sec-fetch-dest'] ?? 'empty'
  if (isProduction && (headers['sec-fetch-mode'] === 'navigate' || destination !== 'empty')) {
    return { error: new ConversionWebhookError('ERR_CONVERSION_BROWSER_REJECTED') }
  }
  return undefined
}

/** Who may call. */
export interface CallerRules {
  /** Absent if no secret is configured. */
  readonly secrets: Secrets | undefined
  readonly isAllowed: ((req: WebhookRequest) => boolean) | undefined
}

/**
 * Checks the address, then the credential, before any parameter but `token` is decoded. Returns how the request came.
 * Throws `ERR_CONVERSION_ADDRESS_REJECTED` and `ERR_CONVERSION_CREDENTIAL_REJECTED`.
 */
export function requireCaller(req: WebhookRequest, route: Route, { secrets, isAllowed }: CallerRules): Via {
  const isFromAllowed = isAllowed?.(req)
  if (isFromAllowed === false) {
    debug.credentials('address not allowed')
    throw new ConversionWebhookError('ERR_CONVERSION_ADDRESS_REJECTED')
  }
  if (secrets === undefined || route.secretIn) return viaOf(req, route.secretIn, isFromAllowed, secrets)
  const offered = candidates(req, route.query)
  // Compares every candidate, so that the time does not show which one is right.
  const [right] = offered.filter(({ text }) => secrets.matches(text))
  if (right) return viaOf(req, right.place, isFromAllowed, secrets)
  debug.credentials('%d credentials, none right', offered.length)
  throw new ConversionWebhookError('ERR_CONVERSION_CREDENTIAL_REJECTED', {
    headers: { 'WWW-Authenticate': 'Basic realm="conversion webhook", charset="UTF-8", Bearer' },
  })
}

/**
 * Throws `ERR_CONVERSION_PATH_UNKNOWN`, for any method, if a server without `next` got a request whose path is not known to be ours and
 * which offers no credential elsewhere.
 */
export function requireKnownPath(req: WebhookRequest, route: Route): void {
  if (!route.isDoubtful || candidates(req, route.query).length > 0) return
  debug.route('unknown path')
  throw new ConversionWebhookError('ERR_CONVERSION_PATH_UNKNOWN')
}

/** A string that may be the secret. */
interface Candidate {
  readonly text: string
  readonly place: CredentialPlace
}

/** Every string outside the path that may be the secret. Linear in the headers and the raw query. @internal */
export function candidates(req: IncomingMessage, query: string): Candidate[] {
  const { authorization, 'x-webhook-secret': header } = req.headers
  const found = authorization === undefined ? [] : authorized(authorization)
  if (typeof header === 'string') for (const text of headerReadings(header)) found.push({ text, place: 'header' })
  for (const text of tokensIn(query)) found.push({ text, place: 'query' })
  return found
}

function authorized(header: string): Candidate[] {
  const [, scheme = '', value = ''] = /^(Bearer|Basic) +(.*)$/is.exec(header) ?? []
  if (scheme.toLowerCase() === 'bearer') return headerReadings(value.trim()).map((text) => ({ text, place: 'bearer' }))
  if (scheme === '') return []
  const pair = Buffer.from(value, 'base64').toString('utf8')
  return [{ text: pair.slice(pair.indexOf(':') + 1), place: 'basic' }]
}

/** Node decodes the bytes of a header as latin1, and most clients send UTF-8. */
function headerReadings(header: string): string[] {
  const bytes = highBytes(header)
  return bytes ? [header, bytes.toString('utf8')] : [header]
}

/** How many values of `token` are compared. The shop's own URL has one, and each costs at most four hashes. */
const maxTokens = 4
const start = `${tokenName}=`

/**
 * The values of the parameter `token` in a raw query, found by one scan for the name: nothing else is decoded before the caller is known.
 * A sender may append `?conversion=…` to a URL that has a query, so `token` may also end at its last `?`.
 */
function tokensIn(query: string): string[] {
  const found: string[] = []
  let tokens = 0
  for (let at = query.indexOf(start), end; at !== -1 && tokens < maxTokens; at = query.indexOf(start, end)) {
    const ampersand = query.indexOf('&', at)
    end = ampersand === -1 ? query.length : ampersand
    if (at > 0 && query[at - 1] !== '&' && !query.startsWith('&amp;', at - '&amp;'.length)) continue
    tokens++
    const text = query.slice(at + start.length, end)
    const mark = text.lastIndexOf('?')
    const texts = mark === -1 ? [text] : [text, text.slice(0, mark)]
    // A base64 secret that was pasted without encoding holds a `+` that is no space.
    const readings = texts.flatMap((each) => (each.includes('+') ? [each, each.replaceAll('+', ' ')] : [each]))
    found.push(...readings.map(decodeSegment))
  }
  return found
}

const maxContentTypeLength = 128
const maxUserAgentLength = 256

/** How a request came whose method, address and credential are right. @internal */
export function viaOf(
  { method, headers }: Pick<IncomingMessage, 'method' | 'headers'>,
  credential: CredentialPlace | undefined,
  isFromAllowed: boolean | undefined,
  secrets: Secrets | undefined,
): Via {
  return {
    by: 'request',
    method: method === 'POST' || method === 'PUT' ? method : 'GET',
    contentType: keptHeader(headers['content-type'], maxContentTypeLength, secrets),
    userAgent: keptHeader(headers['user-agent'], maxUserAgentLength, secrets),
    credential,
    isFromAllowed,
  }
}

/** Control characters, characters that change the direction of a line, and halves of surrogate pairs. */
const unprintable = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu

/** A header as it is kept: without secrets, cut, safe to print. Masking comes before the cut, since no mask finds half a secret. */
function keptHeader(header: string | undefined, maxLength: number, secrets: Secrets | undefined): string | undefined {
  if (header === undefined) return undefined
  const bytes = highBytes(header)
  const sent = bytes && isUtf8(bytes) ? bytes.toString('utf8') : header
  const masked = secrets?.mask(sent) ?? sent
  const end = masked.length > maxLength ? endBefore(masked, maxLength) : maxLength // `erase` would not find half an address
  return detached(masked.slice(0, end).replace(unprintable, '\ufffd'))
}

type Ip = typeof ipaddr
type Net = typeof net
type Address = ReturnType<Ip['process']>
type Range = ReturnType<Ip['parseCIDR']>

/**
 * Whether an address is one of the listed addresses or in one of the CIDR ranges. A mapped IPv4 address counts as its IPv4 address.
 * Throws `ERR_CONVERSION_OPTION_INVALID` for an entry that is neither.
 */
export function addressMatcher(list: readonly unknown[]): (address: string | undefined) => boolean {
  // Loaded here, since most webhooks do without.
  const ip = require('ipaddr.js') as Ip
  const { isIP } = require('node:net') as Net
  const ranges = list.map((entry) => parseRange(ip, isIP, entry))
  return (text) => {
    const bare = text?.replace(/%.*$/, '') ?? '' // without the zone of a link-local address
    if (isIP(bare) === 0) return false
    const address: Address = ip.process(bare)
    return ranges.some((range) => range[0].kind() === address.kind() && address.match(range))
  }
}

function parseRange(ip: Ip, isIP: Net['isIP'], entry: unknown): Range {
  const text = typeof entry === 'string' ? entry.trim() : ''
  const [base = '', bits, ...rest] = text.split('/')
  const width = { 4: 32, 6: 128 }[isIP(base)]
  const prefix = bits === undefined ? width : /^\d{1,3}$/.test(bits) ? Number(bits) : Number.NaN
  if (width === undefined || prefix === undefined || !(prefix <= width) || rest.length > 0) {
    const ranges = 'IPv4 and IPv6 addresses and CIDR ranges such as "203.0.113.0/24"'
    throw invalidOption('allowFrom', `list ${ranges}, or be a function of the request`)
  }
  const address = ip.parse(base)
  const isMapped = address instanceof ip.IPv6 && address.isIPv4MappedAddress() && prefix >= 96
  return isMapped ? [address.toIPv4Address(), prefix - 96] : ([address, prefix] as Range)
}
