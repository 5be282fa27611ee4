import { atOnce } from '../at-once.js'
import { ConversionWebhookError } from '../errors.js'
import type { WebhookRequest } from './route.js'

export const aScope = 'a text without NUL characters'

/** A scope is recorded as it is, and PostgreSQL's texts hold no NUL. */
export function isScope(value: unknown): value is string {
  return typeof value === 'string' && !value.includes('\0')
}

/**
 * The scope of a request: the option's text, what its function returns, or the route parameters other than `secret` in path order,
 * percent-encoded and joined by `/`. Throws `ERR_CONVERSION_SCOPE_FAILED` where the function throws or returns no such text.
 */
export function scopeOf(req: WebhookRequest, option: string | ((req: WebhookRequest) => unknown) | undefined): string {
  if (typeof option === 'string') return option
  if (option === undefined) return routeScope(req)
  let scope: unknown
  try {
    scope = atOnce('scope', option(req))
  } catch (cause) {
    throw new ConversionWebhookError('ERR_CONVERSION_SCOPE_FAILED', { cause })
  }
  if (isScope(scope)) return scope
  const cause = new TypeError(`scope must return ${aScope}, not ${typeof scope === 'string' ? 'that' : typeof scope}.`)
  throw new ConversionWebhookError('ERR_CONVERSION_SCOPE_FAILED', { cause })
}

/** A wildcard of Express 5 is a list of segments; an optional parameter may be absent. */
function routeScope({ params }: WebhookRequest): string {
  return Object.entries(params ?? {})
    .filter(([name]) => name !== 'secret')
    .flatMap(([, value]) => (Array.isArray(value) ? (value as unknown[]) : [value]))
    .filter((value) => typeof value === 'string')
    .map(encodeURIComponent)
    .join('/')
}
