import type { IncomingMessage } from 'node:http'
import { decodeSegment, type Matcher } from './credentials.js'

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

/** A request that is ours, after the path has been looked at and nothing else. */
export interface Route {
  /** The text behind the first `?`, as it came: nothing of it is decoded before the caller is known. */
  readonly query: string
  /** Where the path held a right secret. */
  readonly secretIn?: 'path' | 'route' | undefined
  /** A bare server's path that may be somebody else's: nothing but another credential makes it ours. */
  readonly isDoubtful: boolean
}

export type FindRoute = (req: WebhookRequest, self: unknown, hasNext: boolean) => Route | undefined

/**
 * Whether the request is ours. Undefined means `next()`, untouched, so that a wrong path secret cannot be told from
 * an unknown path.
 */
export function routeFinder(matches: Matcher | undefined): FindRoute {
  /** Frameworks leave the last matched route on a request that goes on: one that we declined says nothing of a later mount. */
  const declined = new WeakMap<WebhookRequest, unknown>()
  return (req, self, hasNext) => {
    const isRoute = isRouteOf(req, self) && declined.get(req) !== req.route
    const route = findRoute(req, isRoute, hasNext, matches)
    if (route === undefined) declined.set(req, req.route)
    return route
  }
}

function findRoute(
  req: WebhookRequest,
  isRoute: boolean,
  hasNext: boolean,
  matches: Matcher | undefined,
): Route | undefined {
  const url = req.url ?? '/'
  const mark = url.indexOf('?')
  const path = (mark === -1 ? url : url.slice(0, mark)).replace(/^[a-z][a-z0-9+.-]*:\/\/[^/]*/i, '')
  const query = mark === -1 ? '' : url.slice(mark + 1)
  const ours = (secretIn?: 'path' | 'route', isDoubtful = false): Route => ({ query, secretIn, isDoubtful })

  const parameter = req.params?.secret
  const isSecretParameter = matches !== undefined && typeof parameter === 'string'
  if (isSecretParameter && !matches(parameter)) return undefined

  const isRoot = path === '/' || path === ''
  if (isRoot || isRoute) return ours(isSecretParameter ? 'route' : undefined)
  if (!hasNext) {
    const last = path.replace(/\/$/, '').split('/').pop() ?? ''
    const isSecret = matches?.(decodeSegment(last)) ?? false
    return ours(isSecret ? 'path' : undefined, matches !== undefined && !isSecret)
  }
  const [, segment] = /^\/([^/]+)\/?$/.exec(path) ?? []
  return segment !== undefined && matches?.(decodeSegment(segment)) === true ? ours('path') : undefined
}

/** Whether this very function is a handler of the matched route; `req.route` alone may be left over from an earlier one. */
function isRouteOf({ route }: WebhookRequest, self: unknown): boolean {
  if (typeof route !== 'object' || route === null || !('stack' in route) || !Array.isArray(route.stack)) return false
  return route.stack.some(
    (layer: unknown) => typeof layer === 'object' && layer !== null && 'handle' in layer && layer.handle === self,
  )
}
