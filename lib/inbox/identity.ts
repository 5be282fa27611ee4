import { hash } from 'node:crypto'
import type { Callback } from '../callback/conversion.js'

/**
 * The id of what makes two callbacks be about the same conversion: a hash over tagged, length-prefixed parts, so that exact bytes
 * are compared and no two lists of parts read alike. 160 bits as hex, without anything personal to be read from it.
 */
export function identityOf({ scope, params }: Callback): string {
  if (params.orderID !== undefined) return orderIdentity(scope, params.orderID)
  return hashOf(['emails', scope, emailKey(params.referee_email) ?? '', emailKey(params.referrer_email) ?? ''])
}

/** An order id as identities compare it: every byte, but for blanks around it and two spellings of one letter. */
export function orderKey(text: string): string {
  return text.trim().normalize('NFC')
}

/** An e-mail address as identities and conflicts compare it: in any case, and in either spelling of an accented letter. */
export function emailKey(address: string | undefined): string | undefined {
  return address?.trim().toLowerCase().normalize('NFC')
}

/** Who referred whom, as a callback says it and as e-mail addresses are compared; an address left out is a value of its own. */
export interface People {
  readonly referrerEmail?: string
  readonly refereeEmail?: string
}

export function peopleOf({ params }: Callback): People {
  const referrerEmail = emailKey(params.referrer_email)
  const refereeEmail = emailKey(params.referee_email)
  return { ...(referrerEmail !== undefined && { referrerEmail }), ...(refereeEmail !== undefined && { refereeEmail }) }
}

/** A hash of the people of a claim: they are told apart by it after prune and erase too. */
export function peopleKey(identity: string, { referrerEmail = '', refereeEmail = '' }: People): string {
  return hashOf(['people', identity, referrerEmail, refereeEmail])
}

/** How many digits of its id a claim has in common with its identity, so that the id alone says which lock it stands under. */
const lockDigits = 16

/** The id of a rival: the beginning of its identity's, and a hash of its people. */
export function rivalId(identity: string, people: string): string {
  return identity.slice(0, lockDigits) + people.slice(lockDigits)
}

/** The identity that an order has in a scope: what is reserved for a claim. */
export function orderIdentity(scope: string, order: string): string {
  return hashOf(['order', scope, orderKey(order)])
}

/** The first 64 bits of a hash, as the databases keep whole numbers. */
export function bitsOf(hash: string): bigint {
  return BigInt.asIntN(64, BigInt(`0x${hash.slice(0, 16)}`))
}

export function hashOf(parts: readonly string[]): string {
  const tagged = parts.map((part) => `${String(Buffer.byteLength(part))}:${part}`).join('')
  return hash('sha256', tagged).slice(0, 40)
}
