import { decodeSegment, minSecretLength, redacted, type Matcher } from './credentials.js'
import type { WebhookRequest } from './route.js'

/** Takes query and path secret from the URLs that access logs print. */
export function scrubRequest(req: WebhookRequest, matches: Matcher | undefined): void {
  for (const name of ['url', 'originalUrl', 'baseUrl'] as const) {
    const url = req[name]
    if (url !== undefined) req[name] = scrubUrl(url, (segment) => matches?.(decodeSegment(segment)) ?? false)
  }
}

/** A URL without its query, its user and every path segment that `isSecret` picks. */
function scrubUrl(url: string, isSecret: (segment: string) => boolean): string {
  const whole = url.slice(0, url.search(/[?#]|$/))
  const [origin = ''] = /^[a-z][a-z0-9+.-]*:\/\/[^/]*/i.exec(whole) ?? []
  const segments = whole.slice(origin.length).split('/')
  return origin.replace(/\/\/.*@/, '//') + segments.map((segment) => (isSecret(segment) ? redacted : segment)).join('/')
}

/**
 * A request URL that may be logged: without its query, and with every path segment of 16 characters or more (the shortest secret)
 * as `[redacted]`. For loggers that write before the webhook answers; what it answers itself it scrubs itself (`scrubUrl`).
 */
export function redactUrl(url: string): string {
  return scrubUrl(url, (segment) => decodeSegment(segment).length >= minSecretLength)
}
