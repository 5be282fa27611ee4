import { bitsOf, emailKey, hashOf, orderKey } from './identity.js'
import type { QuarantinedCallback } from './quarantine.js'

/* What a quarantined callback is found by: the texts in it that may be an order id or an e-mail address. Pure. */

const emailNames: readonly string[] = ['referrer_email', 'referee_email']
/** What these say is never looked for: it would be the same in most callbacks. */
const closedNames: readonly string[] = ['conversion', 'purchaseValue', 'referrer_converts', 'goal_complete']
const otherNames: readonly string[] = ['referrer_name', 'referee_name', 'orderID', 'referrer_customValue']
const documentedNames: readonly string[] = [...emailNames, ...otherNames, ...closedNames]

/** Characters of an order id and of an e-mail address. A longer text is neither. */
const maxOrderLength = 255
const maxEmailLength = 320
/** A callback has up to 100 parameters: the documented ones are found in any case, then texts, then names. */
const maxForms = 64

type Pair = readonly [name: string, text: string]

/**
 * The forms that a quarantined callback is found by. An address and an order id are not told apart, so that the address of a registration
 * is one form and not two.
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

/** Parameters first, then other texts, then names: an unencoded `&` in a text makes a name of its end. */
function* candidatesIn(pairs: readonly Pair[]): Generator<Pair> {
  const wanted = pairs.filter(([name]) => !closedNames.includes(name))
  const isDocumented = ([name]: Pair): boolean => documentedNames.includes(name)
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

/** Whether a text has so many characters at most, without counting all of a long one. */
function isWithin(text: string, characters: number): boolean {
  return text.length <= characters || (text.length <= 2 * characters && Array.from(text).length <= characters)
}

/** What a form is stored as: 64 bits of its hash, so that a key has one length and is no text of a person. */
export function searchKey(form: string): bigint {
  return bitsOf(hashOf(['search', form]))
}

/** The keys that a quarantined callback of these forms is stored with. */
export function searchKeys(forms: ReadonlySet<string>): readonly bigint[] {
  return [...forms].map(searchKey)
}

/** What is asked for, as a search compares it: an order id as `orderKey` gives it, and an address as `emailKey` does. */
export interface Sought {
  readonly orderId?: string | undefined
  readonly email?: string | undefined
}

/** The forms that a callback must have. */
export function soughtForms({ orderId, email }: Sought): readonly string[] {
  return [...new Set([orderId, email].filter((form) => form !== undefined))]
}
