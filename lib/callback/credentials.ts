import { crypto } from '../util/crypto.js'
import { percentDecoded } from '../util/decoding.js'
import type { WireNames } from './params.js'
import type { Pair, Received } from './received.js'
import { withTexts } from './via.js'

/** The shortest secret that is accepted, in characters that can be seen; so every longer path segment might be one. */
export const minSecretLength = 16

/** What nobody sees makes no secret any longer: controls, blanks, and characters without a shape of their own. */
const unseen = /[\p{C}\p{Z}\p{Default_Ignorable_Code_Point}\u2800]/gu

export function isLongEnough(secret: string): boolean {
  return Array.from(secret.replace(unseen, '')).length >= minSecretLength
}

/** The query parameter that may carry the secret; it never reaches a conversion while a secret is configured. */
export const tokenName = 'token'

/** Stands where a secret was. */
export const redacted = '[redacted]'

/** Tells whether a text is one of the secrets, in a time that depends on neither. */
export type Matcher = (candidate: string) => boolean

/** Secrets are kept and compared as hashes of equal length, each with each, so that neither content nor length shows in the time. */
export function secretMatcher(secrets: readonly string[]): Matcher {
  const { hash, timingSafeEqual } = crypto()
  const digestOf = (text: string) => hash('sha256', text, 'buffer')
  const expected = secrets.map(digestOf)
  return (candidate) => {
    if (candidate.length < minSecretLength) return false // none is so short, and that is no secret
    const actual = digestOf(candidate)
    return expected.reduce((found, digest) => timingSafeEqual(digest, actual) || found, false)
  }
}

/** A segment of a path, or a text of a query, as the text that it stands for; as it is where it is not encoded well. */
export function decodeSegment(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}

/** Whether a text holds one of the secrets, as it is or percent-encoded. */
export function secretFinder(secrets: readonly string[]): (text: string) => boolean {
  return (text) => [text, percentDecoded(text)].some((read) => secrets.some((secret) => read.includes(secret)))
}

/** Makes what was received into what may be recorded and shown. */
export type CredentialRemover = (received: Received) => Received

/**
 * Drops the parameter `token`, and masks the secrets where strangers' names, texts and headers hold one. A text that holds one percent-encoded, such as
 * the webhook's own URL, is masked whole.
 */
export function credentialRemover(secrets: readonly string[], wireNames: WireNames): CredentialRemover {
  const holdsSecret = secretFinder(secrets)
  const longestFirst = [...secrets].sort((a, b) => b.length - a.length) // one secret may begin with another
  const mask = (text: string) => {
    const masked = longestFirst.reduce((rest, secret) => rest.replaceAll(secret, redacted), text)
    return holdsSecret(masked) ? redacted : masked
  }
  const isOurs = (name: string) => wireNames.has(name)
  return (received) => {
    const { pairs, repairs, untyped } = received
    const via = received.via && { via: withTexts(received.via, mask) }
    if (pairs.every(([name]) => isOurs(name))) return { ...received, ...via }
    return {
      ...received,
      ...via,
      pairs: pairs.flatMap((pair): Pair[] => {
        const [name, text] = pair
        if (name === tokenName) return []
        return [isOurs(name) ? pair : [mask(name), mask(text)]]
      }),
      repairs: repairs.flatMap(({ parameter, kind }) =>
        parameter === tokenName ? [] : [{ parameter: mask(parameter), kind }],
      ),
      ...(untyped && {
        untyped: Object.fromEntries(Object.entries(untyped).map(([name, type]) => [mask(name), type])),
      }),
    }
  }
}
