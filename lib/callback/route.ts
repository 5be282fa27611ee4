import type { IncomingMessage } from 'node:http'
import { ConversionWebhookError, invalidOption } from '../errors.js'
import { detached } from '../util/detached.js'
import { requireSync } from '../util/require-sync.js'
import { decodeSegment, minSecretLength, redacted, type Secrets } from './credentials.js'

/**
 * What the frameworks put on a request; all of it is absent in a bare `http` server.
 * A function that takes your framework's own request type fits wherever this one is asked for.
 */
export interface WebhookRequest extends IncomingMessage {
  originalUrl?: string | undefined
  baseUrl?: string | undefined
  params?: Readonly<Record<string, unknown>> | undefined
  body?: unknown
  ip?: string | undefined
  route?: unknown
  app?: unknown
}

/** What the path of a request says, when the path is ours. */
export interface Route {
  /** The URL after its first `?`, undecoded: nothing is decoded before the caller is known. */
  readonly query: string
  /** Where in the path the right secret stood; absent if the path holds none. */
  readonly secretIn?: 'path' | 'route' | undefined
  /** Whether the path may belong to somebody else, on a server without `next`: then only a credential elsewhere makes the request ours. */
  readonly isDoubtful: boolean
}

/** The function returns undefined for a request that goes to `next()` untouched: a wrong path secret looks like an unknown path. */
export function routeFinder(secrets: Secrets | undefined) {
  // A framework leaves `req.route` on a request after `next()`. A route that was declined here must not count at a later mount.
  const declined = new WeakMap<WebhookRequest, unknown>()
  return (req: WebhookRequest, self: unknown, hasNext: boolean): Route | undefined => {
    const isRoute = isRouteOf(req, self) && declined.get(req) !== req.route
    const route = findRoute(req, isRoute, hasNext, secrets)
    if (route === undefined) declined.set(req, req.route)
    return route
  }
}

function findRoute(req: WebhookRequest, isRoute: boolean, hasNext: boolean, secrets: Secrets | undefined) {
  const url = req.url ?? '/'
  const mark = url.indexOf('?')
  const whole = mark === -1 ? url : url.slice(0, mark)
  const path = whole.slice(originOf(whole).length)
  const query = mark === -1 ? '' : url.slice(mark + 1)
  const ours = (secretIn?: 'path' | 'route', isDoubtful = false): Route => ({ query, secretIn, isDoubtful })

  const parameter = req.params?.secret
  const isSecretParameter = secrets !== undefined && typeof parameter === 'string'
  if (isSecretParameter && !secrets.matches(parameter)) return undefined

  const isRoot = path === '/' || path === ''
  if (isRoot || isRoute) return ours(isSecretParameter ? 'route' : undefined)
  if (!hasNext) {
    const end = path.endsWith('/') ? path.length - 1 : path.length
    const last = path.slice(path.lastIndexOf('/', end - 1) + 1, end)
    const isSecret = secrets?.matches(decodeSegment(last)) ?? false
    return ours(isSecret ? 'path' : undefined, secrets !== undefined && !isSecret)
  }
  const [, segment] = /^\/([^/]+)\/?$/.exec(path) ?? []
  return segment !== undefined && secrets?.matches(decodeSegment(segment)) === true ? ours('path') : undefined
}

/** Whether this function is a handler of the matched route: `req.route` may be left over from an earlier route. */
function isRouteOf({ route }: WebhookRequest, self: unknown): boolean {
  if (typeof route !== 'object' || route === null || !('stack' in route) || !Array.isArray(route.stack)) return false
  return route.stack.some(
    (layer: unknown) => typeof layer === 'object' && layer !== null && 'handle' in layer && layer.handle === self,
  )
}

export const aScope = 'a string without NUL characters'

/** A scope is stored unchanged, and PostgreSQL stores no NUL. */
export function isScope(value: unknown): value is string {
  return typeof value === 'string' && !value.includes('\0')
}

/** How a request gets its scope. */
export interface ScopeRules {
  readonly scope: string | ((req: WebhookRequest) => unknown) | undefined
  /** Absent if no secret is configured. */
  readonly secrets: Secrets | undefined
}

/**
 * The scope of a request: the option's string, the result of its function, or the route parameters other than `secret` in path order,
 * percent-encoded and joined by `/`. Throws `ERR_CONVERSION_SCOPE_FAILED` if the function throws or returns no scope, or if the scope holds
 * a secret, which would be stored and shown.
 */
export function scopeOf(req: WebhookRequest, { scope: option, secrets }: ScopeRules): string {
  if (typeof option === 'string') return option
  try {
    const scope = option === undefined ? routeScope(req) : requireSync('scope', option(req))
    if (!isScope(scope)) {
      throw new TypeError(`scope must return ${aScope}, not ${typeof scope === 'string' ? 'that' : typeof scope}.`)
    }
    if (secrets?.areIn(scope) === true) throw scopeHoldsSecret()
    return detached(scope)
  } catch (cause) {
    throw new ConversionWebhookError('ERR_CONVERSION_SCOPE_FAILED', { cause })
  }
}

/** A scope is stored and shown, so a secret in it would leak. */
export function scopeHoldsSecret(): ConversionWebhookError {
  const must =
    'hold no secret. Where it comes from the path, the secret stands in the place of another route parameter: put it behind that one (/webhook/:campaign/<secret>), or name the parameter secret'
  return invalidOption('scope', must)
}

/** A wildcard of Express 5 is an array of segments; an optional parameter may be absent. */
function routeScope({ params }: WebhookRequest): string {
  const named = Object.entries(params ?? {}).filter(([name]) => name !== 'secret')
  if (named.length === 0) return ''
  return named
    .flatMap(([, value]) => (Array.isArray(value) ? (value as unknown[]) : [value]))
    .filter((value) => typeof value === 'string')
    .map(encodeURIComponent)
    .join('/')
}

/** Removes the query and a path secret from the URLs that access logs print. */
export function scrubRequest(req: WebhookRequest, secrets: Secrets | undefined): void {
  const parameter = req.params?.secret
  // The parameter of a route such as `/hooks/cb-:secret` is a part of its segment.
  const part = typeof parameter === 'string' && secrets?.matches(parameter) === true ? parameter : undefined
  const isSecret = (segment: string): boolean => {
    const text = decodeSegment(segment)
    return secrets?.matches(text) === true || (part !== undefined && text.includes(part))
  }
  for (const name of ['url', 'originalUrl', 'baseUrl'] as const) {
    const url = req[name]
    if (url !== undefined) req[name] = scrubUrl(url, isSecret)
  }
}

/** A URL without its query and its user; a path segment that `isSecret` accepts is masked. */
function scrubUrl(url: string, isSecret: (segment: string) => boolean): string {
  const whole = url.slice(0, url.search(/[?#]|$/))
  const origin = originOf(whole)
  const path = whole.slice(origin.length)
  if (path.length < minSecretLength && origin === '') return path
  return origin.replace(/\/\/.*@/, '//') + path.replace(/[^/]+/g, (segment) => (isSecret(segment) ? redacted : segment))
}

/** The beginning of a URL that is not only a path. */
function originOf(url: string): string {
  return url.startsWith('/') ? '' : (/^[a-z][a-z0-9+.-]*:\/\/[^/]*/i.exec(url)?.[0] ?? '')
}

/**
 * Makes a request URL safe to log: drops the query, and replaces every path segment of 16 characters or more (the length of the shortest
 * secret) by `[redacted]`. For loggers that write before the webhook answers; afterwards the option `scrubUrl` has done it.
 */
export function redactUrl(url: string): string {
  return scrubUrl(url, (segment) => decodeSegment(segment).length >= minSecretLength)
}
