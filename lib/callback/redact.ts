import { decodeSegment, minSecretLength, redacted, type Matcher } from './credentials.js'
import type { WebhookRequest } from './route.js'

/** Takes query and path secret from the URLs that access logs print. */
export function scrubRequest(req: WebhookRequest, matches: Matcher | undefined): void {
  const parameter = req.params?.secret
  /** The parameter of a route such as `/hooks/cb-:secret` is a part of its segment. */
  const part = typeof parameter === 'string' && matches?.(parameter) === true ? parameter : undefined
  const isSecret = (segment: string): boolean => {
    const text = decodeSegment(segment)
    return matches?.(text) === true || (part !== undefined && text.includes(part))
  }
  for (const name of ['url', 'originalUrl', 'baseUrl'] as const) {
    const url = req[name]
    if (url !== undefined) req[name] = scrubUrl(url, isSecret)
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
