import type { Callback } from '../callback/conversion.js'
import { crypto } from '../util/crypto.js'

/**
 * The identity of a callback, shared by all callbacks about the same conversion: 160 bits of a hash, as hex, from which nothing personal
 * can be read. Each hashed part has its length before it, so that no two arrays of parts give the same string.
 */
export function identityOf({ scope, params }: Callback): string {
  if (params.orderID !== undefined) return orderIdentity(scope, params.orderID)
  return hashOf(['emails', scope, emailKey(params.referee_email) ?? '', emailKey(params.referrer_email) ?? ''])
}

/** An order id as identities compare it: trimmed, and with one encoding (NFC) of each accented letter; case counts. */
export function orderKey(text: string): string {
  return text.trim().normalize('NFC')
}

/** An e-mail address as identities and claims compare it: trimmed, in lower case, and with one encoding (NFC) of each accented letter. */
export function emailKey(address: string | undefined): string | undefined {
  return address?.trim().toLowerCase().normalize('NFC')
}

/** The two addresses of a callback, as they are compared. A missing address is a value of its own. */
export interface People {
  readonly referrerEmail?: string
  readonly refereeEmail?: string
}

export function peopleOf({ params }: Callback): People {
  const referrerEmail = emailKey(params.referrer_email)
  const refereeEmail = emailKey(params.referee_email)
  return { ...(referrerEmail !== undefined && { referrerEmail }), ...(refereeEmail !== undefined && { refereeEmail }) }
}

/** A hash of a claim's people, which still tells claims apart after prune and erase. */
export function peopleKey(identity: string, { referrerEmail = '', refereeEmail = '' }: People): string {
  return hashOf(['people', identity, referrerEmail, refereeEmail])
}

/** The first digits of a claim's id are those of its identity, so that the id alone tells which lock the claim is under. */
const lockDigits = 16

/** The id of a rival: the first digits of its identity, then digits of the hash of its people. */
export function rivalId(identity: string, people: string): string {
  return identity.slice(0, lockDigits) + people.slice(lockDigits)
}

/** The identity of an order in a scope: the key under which the order is reserved for a claim. */
export function orderIdentity(scope: string, order: string): string {
  return hashOf(['order', scope, orderKey(order)])
}

/** The first 64 bits of a hash, as a signed integer that both databases can store. */
export function bitsOf(hash: string): bigint {
  return BigInt.asIntN(64, BigInt(`0x${hash.slice(0, 16)}`))
}

export function hashOf(parts: readonly string[]): string {
  const tagged = parts.map((part) => `${String(Buffer.byteLength(part))}:${part}`).join('')
  return crypto().hash('sha256', tagged).slice(0, 40)
}
