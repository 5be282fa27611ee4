import { minSecretLength, redacted, type Matcher } from './credentials.js'

/** A segment of a path as the text that it stands for, or as it is where it is not encoded well. */
export function decodeSegment(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}

/** Takes query and path secret from the URLs that access logs print, once we answer ourselves. */
export function scrubRequest(
  req: { url?: string | undefined; originalUrl?: string | undefined },
  matches: Matcher | undefined,
): void {
  const scrub = (url: string) => scrubUrl(url, (segment) => matches?.(decodeSegment(segment)) ?? false)
  if (req.url !== undefined) req.url = scrub(req.url)
  if (req.originalUrl !== undefined) req.originalUrl = scrub(req.originalUrl)
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
