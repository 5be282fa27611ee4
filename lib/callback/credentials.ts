import { hash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Pair, Received } from './params.js'

/** The shortest secret that is accepted, in characters; so every longer path segment might be one. */
export const minSecretLength = 16

/** The query parameter that may carry the secret; it never reaches a conversion while a secret is configured. */
const tokenName = 'token'

/** Tells whether a text is one of the secrets, in a time that depends on neither. */
export type Matcher = (candidate: string) => boolean

/** Secrets are kept and compared as hashes of equal length, each with each, so that neither content nor length shows in the time. */
export function secretMatcher(secrets: readonly string[]): Matcher {
  const digestOf = (text: string) => hash('sha256', text, 'buffer')
  const expected = secrets.map(digestOf)
  return (candidate) => {
    if (candidate.length < minSecretLength) return false // none is so short, and that is no secret
    const actual = digestOf(candidate)
    return expected.reduce((found, digest) => timingSafeEqual(digest, actual) || found, false)
  }
}

/** Every text outside the path that may be meant as the secret. */
export function candidates(req: IncomingMessage, query: readonly Pair[]): string[] {
  const found: string[] = []
  const [, scheme = '', value = ''] = /^(Bearer|Basic) +(.*)$/is.exec(req.headers.authorization ?? '') ?? []
  if (scheme.toLowerCase() === 'bearer') found.push(value.trim())
  if (scheme.toLowerCase() === 'basic') {
    const pair = Buffer.from(value, 'base64').toString('utf8')
    found.push(pair.slice(pair.indexOf(':') + 1))
  }
  const header = req.headers['x-webhook-secret']
  if (typeof header === 'string') found.push(header)
  for (const [name, text] of query) if (name === tokenName) found.push(text)
  return found
}

/** What may be recorded and shown: without the credential. */
export function withoutCredential(received: Received): Received {
  if (!received.pairs.some(isToken)) return received
  return {
    pairs: received.pairs.filter((pair) => !isToken(pair)),
    issues: received.issues,
    repairs: received.repairs.filter(({ parameter }) => parameter !== tokenName),
  }
}

function isToken([name]: Pair): boolean {
  return name === tokenName
}
