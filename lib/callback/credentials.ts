import { hash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Pair, Received, WireNames } from './params.js'

/** The shortest secret that is accepted, in characters; so every longer path segment might be one. */
export const minSecretLength = 16

/** The query parameter that may carry the secret; it never reaches a conversion while a secret is configured. */
export const tokenName = 'token'

/** Stands where a secret was. */
export const redacted = '[redacted]'

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

/** Makes what was received into what may be recorded and shown. */
export type CredentialRemover = (received: Received) => Received

/** Drops the parameter `token`, and masks the secrets where strangers' names and texts, or a body that cannot be read, hold one. */
export function credentialRemover(secrets: readonly string[], wireNames: WireNames): CredentialRemover {
  const mask = (text: string) => secrets.reduce((masked, secret) => masked.replaceAll(secret, redacted), text)
  const isOurs = (name: string) => wireNames.has(name)
  return (received) => {
    const { pairs, repairs } = received
    if (pairs.every(([name]) => isOurs(name))) return received
    return {
      ...received,
      pairs: pairs.flatMap((pair): Pair[] => {
        const [name, text] = pair
        if (name === tokenName) return []
        return [isOurs(name) ? pair : [mask(name), mask(text)]]
      }),
      repairs: repairs.flatMap(({ parameter, kind }) =>
        parameter === tokenName ? [] : [{ parameter: mask(parameter), kind }],
      ),
    }
  }
}
