import { crypto } from '../util/crypto.js'
import { percentDecoded } from '../util/decoding.js'

/** The length of the shortest secret that is accepted. `redactUrl` hides every path segment that is as long. */
export const minSecretLength = 16

/** Controls, blanks and characters without a shape: they do not count towards the length of a secret. */
const unseen = /[\p{C}\p{Z}\p{Default_Ignorable_Code_Point}\u2800]/gu

export function isLongEnough(secret: string): boolean {
  return Array.from(secret.replace(unseen, '')).length >= minSecretLength
}

/** The query parameter that may carry the secret. No conversion has it while a secret is configured. */
export const tokenName = 'token'

/** Stands where a secret was. */
export const redacted = '[redacted]'

/** The secrets of one webhook. */
export class Secrets {
  readonly #longestFirst: readonly string[]
  /** Random, so that nobody knows the hash of a candidate: the time of a comparison of two hashes then tells nothing. */
  readonly #key = crypto().randomBytes(32).toString('hex')
  readonly #digests: readonly string[]

  constructor(secrets: readonly string[]) {
    this.#longestFirst = [...secrets].sort((a, b) => b.length - a.length) // one secret may begin with another
    this.#digests = secrets.map((secret) => this.#digestOf(secret))
  }

  /** Whether a string is one of the secrets. Compares hashes, so that the time shows neither content nor length of a secret. */
  matches(candidate: string): boolean {
    // The length of the shortest secret is public.
    return candidate.length >= minSecretLength && this.#digests.includes(this.#digestOf(candidate))
  }

  #digestOf(text: string): string {
    return crypto().hash('sha256', this.#key + text)
  }

  /** Whether a string holds one of the secrets, as it is or percent-encoded. */
  areIn(text: string): boolean {
    if (text.length < minSecretLength) return false
    return [text, percentDecoded(text)].some((read) => this.#longestFirst.some((secret) => read.includes(secret)))
  }

  /** Masks each secret in a string. A string with a percent-encoded secret, such as the webhook's own URL, is masked whole. */
  mask(text: string): string {
    const masked = this.#longestFirst.reduce((rest, secret) => rest.replaceAll(secret, redacted), text)
    return this.areIn(masked) ? redacted : masked
  }
}

/** Decodes a path segment, or a value of a query. Returns the string unchanged if its encoding is broken. */
export function decodeSegment(segment: string): string {
  if (!segment.includes('%')) return segment
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}
