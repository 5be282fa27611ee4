import { hash } from 'node:crypto'
import type { Callback } from '../callback/conversion.js'

/**
 * The id of what makes two callbacks be about the same conversion: a hash over tagged, length-prefixed parts, so that exact bytes
 * are compared and no two lists of parts read alike. 160 bits as hex, without anything personal to be read from it.
 */
export function identityOf({ scope, params }: Callback): string {
  const order = params.orderID === undefined ? undefined : orderKey(params.orderID)
  return hashOf(
    order === undefined
      ? ['emails', scope, emailKey(params.referee_email) ?? '', emailKey(params.referrer_email) ?? '']
      : ['order', scope, order],
  )
}

/** An order id as identities compare it: every byte, but for blanks around it and two spellings of one letter. */
export function orderKey(text: string): string {
  return text.trim().normalize('NFC')
}

/** An e-mail address as identities and conflicts compare it: in any case, and in either spelling of an accented letter. */
export function emailKey(address: string | undefined): string | undefined {
  return address?.trim().toLowerCase().normalize('NFC')
}

export function hashOf(parts: readonly string[]): string {
  const tagged = parts.map((part) => `${String(Buffer.byteLength(part))}:${part}`).join('')
  return hash('sha256', tagged).slice(0, 40)
}
