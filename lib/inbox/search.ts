import type { QuarantinedCallback } from './quarantine.js'
import { bitsOf, hashOf } from '../util/hash-of.js'
import { emailKey, orderKey } from './claims.js'

/* The strings by which a quarantined callback is found: those that may be an order id or an e-mail address. Pure. */

export const emailNames: readonly string[] = ['referrer_email', 'referee_email']
/** Parameters that callbacks are never found by, since most callbacks have the same few values. */
const closedNames: readonly string[] = ['conversion', 'purchaseValue', 'referrer_converts', 'goal_complete']
const openNames: readonly string[] = [...emailNames, 'referrer_name', 'referee_name', 'orderID', 'referrer_customValue']

/** In characters. A longer string is no order id, or no e-mail address. */
const maxOrderLength = 255
const maxEmailLength = 320
/** A callback with more forms is found by the first ones: values of documented parameters, then other values, then names. */
const maxForms = 64

type Pair = readonly [name: string, text: string]

/**
 * The strings that a quarantined callback is found by. Order ids and addresses are not told apart, so that an address that a registration
 * passes as order id is one form and not two.
 */
export function searchForms(quarantined: QuarantinedCallback): ReadonlySet<string> {
  const forms = new Set<string>()
  for (const [name, text] of candidatesIn(pairsOf(quarantined))) {
    const [order, email] = [orderKey(text), emailKey(text)]
    if (order !== '' && isWithin(order, maxOrderLength)) forms.add(order)
    const mayBeEmail = text.includes('@') || emailNames.includes(name)
    if (email !== undefined && email !== '' && mayBeEmail && isWithin(email, maxEmailLength)) forms.add(email)
    if (forms.size >= maxForms) break
  }
  return forms
}

/** Documented parameters first, then other values, then names: an unencoded `&` in a value makes a name of the rest of the value. */
function* candidatesIn(pairs: readonly Pair[]): Generator<Pair> {
  const wanted = pairs.filter(([name]) => !closedNames.includes(name))
  const isDocumented = ([name]: Pair): boolean => openNames.includes(name)
  yield* wanted.filter(isDocumented)
  const others = wanted.filter((pair) => !isDocumented(pair))
  yield* others
  for (const [name] of others) yield ['', name]
}

function pairsOf(quarantined: QuarantinedCallback): readonly Pair[] {
  if (quarantined.kind === 'refused') return quarantined.received.pairs
  const { params, extra } = quarantined.callback
  return [...Object.entries(params), ...Object.entries(extra)]
}

/** Whether a string has at most so many characters; does not count those of a string that is certainly longer. */
function isWithin(text: string, characters: number): boolean {
  return text.length <= characters || (text.length <= 2 * characters && Array.from(text).length <= characters)
}

/** The stored key of a form: 64 bits of its hash, so that all keys have one length and none is personal data. */
export function searchKey(form: string): bigint {
  return bitsOf(hashOf(['search', form]))
}

export function searchKeys(forms: ReadonlySet<string>): readonly bigint[] {
  return [...new Set([...forms].map(searchKey))] // halves of surrogate pairs are the same bytes
}

/** What a search looks for: an order id as `orderKey` returns it, and an address as `emailKey` returns it. */
export interface Sought {
  readonly orderId?: string | undefined
  readonly email?: string | undefined
}

/** The forms that a callback must have to be found. */
export function soughtForms({ orderId, email }: Sought): readonly string[] {
  return [...new Set([orderId, email].filter((form) => form !== undefined))]
}
