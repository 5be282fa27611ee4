import { atOnce } from '../at-once.js'
import { ConversionWebhookError, invalidOption } from '../errors.js'
import type { WebhookRequest } from './route.js'

export const aScope = 'a text without NUL characters'

/** A scope is recorded as it is, and PostgreSQL's texts hold no NUL. */
export function isScope(value: unknown): value is string {
  return typeof value === 'string' && !value.includes('\0')
}

/** How a request gets its scope. */
export interface ScopeRules {
  readonly scope: string | ((req: WebhookRequest) => unknown) | undefined
  /** Absent where no secret is configured. */
  readonly holdsSecret: ((text: string) => boolean) | undefined
}

/**
 * The scope of a request: the option's text, what its function returns, or the route parameters other than `secret` in path order,
 * percent-encoded and joined by `/`. Throws `ERR_CONVERSION_SCOPE_FAILED` where the function throws or returns no such text, and where the
 * scope holds a secret: it would be recorded and shown.
 */
export function scopeOf(req: WebhookRequest, { scope: option, holdsSecret }: ScopeRules): string {
  if (typeof option === 'string') return option
  try {
    const scope = option === undefined ? routeScope(req) : atOnce('scope', option(req))
    if (!isScope(scope)) {
      throw new TypeError(`scope must return ${aScope}, not ${typeof scope === 'string' ? 'that' : typeof scope}.`)
    }
    if (holdsSecret?.(scope) === true) throw scopeHoldsSecret()
    return scope
  } catch (cause) {
    throw new ConversionWebhookError('ERR_CONVERSION_SCOPE_FAILED', { cause })
  }
}

/** Recorded and shown, a scope would give the secret away. */
export function scopeHoldsSecret(): ConversionWebhookError {
  const must =
    'hold no secret. Where it comes from the path, the secret stands in the place of another route parameter: put it behind that one (/webhook/:campaign/<secret>), or name the parameter secret'
  return invalidOption('scope', must)
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
