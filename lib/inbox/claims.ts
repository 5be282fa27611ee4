import type { Callback } from '../callback/conversion.js'
import { hashOf } from '../util/hash-of.js'
import { isDelivered } from './ledger.js'
import type { ClaimHead, ClaimRecord, People } from './records.js'
import type { Difference } from './vocabulary.js'

/*
 * Which claim of an identity a callback belongs to: the rows of "Who belongs to which claim" in docs/design.md. Pure. The argument
 * `claims` must hold at least: the first claim of the identity; those with an id that a claim of the callback's people could get; those
 * with the callback's people, or with these but an address left out; the one that has the order; and two that do not contradict.
 */

/** The identity of a callback, shared by all callbacks about the same conversion: a hash, from which nothing personal can be read. */
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

export function peopleOf({ params }: Callback): People {
  return { referrerEmail: emailKey(params.referrer_email), refereeEmail: emailKey(params.referee_email) }
}

/** A hash of a claim's people, which still tells claims apart after prune and erase. */
export function hashOfPeople(identity: string, { referrerEmail = '', refereeEmail = '' }: People): string {
  return hashOf(['people', identity, referrerEmail, refereeEmail])
}

/** The first digits of a claim's id are those of its identity, so that the id alone tells which lock the claim is under. */
const lockDigits = 16

/** The id of a rival: the first digits of its identity, then digits of the hash of its people. @internal */
export function rivalId(identity: string, people: string): string {
  return identity.slice(0, lockDigits) + people.slice(lockDigits)
}

/** The identity of an order in a scope: the key under which the order is reserved for a claim. */
export function orderIdentity(scope: string, order: string): string {
  return hashOf(['order', scope, orderKey(order)])
}

/** The order id by which a record is found. */
export function orderIdOf({ deliveries }: ClaimRecord): string | undefined {
  for (const { callback } of deliveries) {
    const text = callback.params.orderID
    if (text !== undefined) return orderKey(text)
  }
  return undefined
}

/** The claim that a callback belongs to, or the claim that it conflicts with. */
export type Belonging =
  | { readonly row: 1 | 2 | 5; readonly head: ClaimRecord; readonly recorded: ClaimRecord }
  /** The claim takes the people of the callback. */
  | { readonly row: 3; readonly head: ClaimHead; readonly recorded: ClaimRecord }
  | { readonly row: 4; readonly head: ClaimHead }
  | { readonly row: 2 | 6; readonly conflictWith: ClaimRecord }

export function belongsTo(
  callback: Callback,
  identity: string,
  claims: readonly ClaimRecord[],
  holder: string | undefined,
): Belonging {
  const people = peopleOf(callback)
  const key = hashOfPeople(identity, people)
  if (claims.length === 0) return { row: 4, head: { id: identity, identity, peopleHash: key, ...people } }
  const known = (recorded: ClaimRecord, row: 1 | 2 | 5): Belonging => ({ row, head: recorded, recorded })

  const winner = claims.find(({ id }) => id === holder)
  const exact = claims.find((claim) => claim.peopleHash === key)
  if (winner && isReplayOf(winner, key) && (exact === undefined || takesBack(winner, exact, callback))) {
    return known(winner, 1)
  }
  if (winner && exact && mayTakeBack(winner, callback)) return known(winner, 2)
  if (exact) return known(exact, 1)
  if (winner) return contradicts(winner, people) ? { row: 2, conflictWith: winner } : known(winner, 2)

  // A claim made of a replayed conflict has no `peopleHash`: no callback belongs to it, unless it has the order.
  const others = claims.filter((claim) => claim.peopleHash !== undefined)
  const agreeing = others.filter((claim) => !contradicts(claim, people))
  if (callback.status === 'success') {
    const fitting = oldest(agreeing.filter((claim) => isOpen(claim) && fits(claim, people)))
    if (fitting) return { row: 3, head: { ...fitting, ...people, peopleHash: key }, recorded: fitting }
  } else {
    // A pending that states an address which a claim leaves out starts a new claim, so that its goal never counts for that claim.
    const stating = callback.status === 'pending' ? agreeing.filter((claim) => fits(people, claim)) : agreeing
    const first = oldest(stating)
    // The people of a pruned or erased claim are unknown, so a callback that is not exactly theirs is a conflict.
    if (first && stating.length === 1 && first.isEmptied !== true) return known(first, 5)
    if (first) return { row: 6, conflictWith: first }
  }
  return { row: 4, head: { id: freeId(identity, key, claims, callback), identity, peopleHash: key, ...people } }
}

/** Whether both state an address and the two differ. After prune and erase a claim states none. */
function contradicts(claim: People, { referrerEmail, refereeEmail }: People): boolean {
  return differ(claim.referrerEmail, referrerEmail) || differ(claim.refereeEmail, refereeEmail)
}

function differ(one: string | undefined, other: string | undefined): boolean {
  return one !== undefined && other !== undefined && one !== other
}

/** Whether a claim was made of a replayed conflict of these people. Only such a claim has no `peopleHash`. */
function isReplayOf({ identity, peopleHash, isEmptied, ...said }: ClaimRecord, key: string): boolean {
  return peopleHash === undefined && isEmptied !== true && hashOfPeople(identity, said) === key
}

/** Whether a fail belongs to `winner`, a replayed conflict, and not to `exact`, which has the same people: not if only `exact` was paid. */
function takesBack(winner: ClaimRecord, exact: ClaimRecord, { status }: Callback): boolean {
  return status === 'fail' && (isDelivered(winner.deliveries) || !isDelivered(exact.deliveries))
}

/**
 * Whether a callback may be the fail of a paid claim made of a replayed conflict whose people were pruned or erased: they are unknown, so
 * they may be the callback's although another claim has these people.
 */
function mayTakeBack({ peopleHash, isEmptied, deliveries }: ClaimRecord, { status }: Callback): boolean {
  return peopleHash === undefined && isEmptied === true && status === 'fail' && isDelivered(deliveries)
}

/** Whether a claim has no success yet, so that a success may complete its addresses. */
function isOpen({ deliveries, isEmptied }: ClaimRecord): boolean {
  return isEmptied !== true && !deliveries.some(({ event }) => event === 'success')
}

/** Whether every address that `one` states is also stated by `other`. */
function fits(one: People, other: People): boolean {
  const { referrerEmail = other.referrerEmail, refereeEmail = other.refereeEmail } = one
  return referrerEmail === other.referrerEmail && refereeEmail === other.refereeEmail
}

function oldest(claims: readonly ClaimRecord[]): ClaimRecord | undefined {
  const since = ({ deliveries }: ClaimRecord) => Math.min(...deliveries.map(({ callback }) => callback.receivedAt))
  return [...claims].sort((a, b) => since(a) - since(b) || (a.id < b.id ? -1 : 1))[0]
}

/**
 * The id of a rival is made of its people. If claims that have taken other people since use both ids of these people, the time makes a
 * third. Nothing computes that id again, since a claim is found by its people.
 */
function freeId(identity: string, people: string, claims: readonly ClaimRecord[], { receivedAt }: Callback): string {
  const free = rivalIds(identity, people).find((id) => claims.every((claim) => claim.id !== id))
  return free ?? rivalId(identity, hashOf([people, String(receivedAt)]))
}

/** The ids that a rival with these people may have: the second if the claim with the first has taken other people since. */
export function rivalIds(identity: string, people: string): readonly string[] {
  return [rivalId(identity, people), rivalId(identity, hashOf([people]))]
}

/** The `peopleHash` of claims that a callback can belong to by row 1 or 3: the callback's people, also with addresses left out. */
export function fittingPeopleHashes(identity: string, { referrerEmail, refereeEmail }: People): readonly string[] {
  const referrers = referrerEmail === undefined ? [{}] : [{ referrerEmail }, {}]
  const referees = refereeEmail === undefined ? [{}] : [{ refereeEmail }, {}]
  return referrers.flatMap((one) => referees.map((other) => hashOfPeople(identity, { ...one, ...other })))
}

/** The parameters in which a callback contradicts a claim; if there are none, those that only one of the two states. */
export function differences(claim: ClaimRecord, callback: Callback): readonly Difference[] {
  const sides = sidesOf(claim, callback)
  const contradicting = sides.filter(isContradiction)
  return contradicting.length > 0 ? contradicting : sides.filter(({ recorded, received }) => recorded !== received)
}

/** Why the ledger makes a callback a conflict with the claim that it belongs to: another amount, else the status. */
export function ledgerDifferences(claim: ClaimRecord, callback: Callback): readonly Difference[] {
  const contradicting = sidesOf(claim, callback).filter(isContradiction)
  if (contradicting.length > 0) return contradicting
  return [{ parameter: 'conversion', recorded: claim.status, received: callback.status }]
}

function isContradiction({ recorded, received }: Difference): boolean {
  return differ(recorded, received)
}

/** Amounts are compared for successes only. */
function sidesOf(claim: ClaimRecord, { status, params }: Callback): readonly Difference[] {
  const [known, amount] = status === 'success' ? [claim.purchaseValue, params.purchaseValue] : []
  const sides = [
    ['orderID', orderIdOf(claim), params.orderID === undefined ? undefined : orderKey(params.orderID)],
    ['referrer_email', claim.referrerEmail, emailKey(params.referrer_email)],
    ['referee_email', claim.refereeEmail, emailKey(params.referee_email)],
    ['purchaseValue', known, amount === undefined ? undefined : Number(amount)],
  ] as const
  return sides.map(([parameter, recorded, received]) => ({
    parameter,
    ...(recorded !== undefined && { recorded: String(recorded) }),
    ...(received !== undefined && { received: String(received) }),
  }))
}
