import type { Callback } from '../callback/conversion.js'
import { emailKey, hashOf, orderKey, peopleKey, peopleOf, rivalId, type People } from './identity.js'
import { isDelivered } from './ledger.js'
import { orderIdOf, type ClaimHead, type ClaimRecord } from './records.js'
import type { Difference } from './vocabulary.js'

/*
 * Which claim of an identity a callback belongs to: the rows of "Who belongs to which claim" in docs/design.md. Pure. The claims that are given must be all of
 * the identity, or at least: the first, those whose id the callback's people would get, those with the same people or with some of them
 * left out, the one that has the order, and two that do not contradict.
 */

/** A claim, or the conflict with one. */
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
  const key = peopleKey(identity, people)
  const known = (recorded: ClaimRecord, row: 1 | 2 | 5): Belonging => ({ row, head: recorded, recorded })

  const winner = claims.find(({ id }) => id === holder)
  const exact = claims.find((claim) => claim.people === key)
  if (winner && isReplayOf(winner, key) && (exact === undefined || takesBack(winner, exact, callback))) {
    return known(winner, 1)
  }
  if (winner && exact && mayTakeBack(winner, callback)) return known(winner, 2)
  if (exact) return known(exact, 1)
  if (winner) return contradicts(winner, people) ? { row: 2, conflictWith: winner } : known(winner, 2)

  // No callback belongs to a conflict that was replayed, unless it has the order.
  const others = claims.filter((claim) => claim.people !== undefined)
  const agreeing = others.filter((claim) => !contradicts(claim, people))
  if (callback.status === 'success') {
    const fitting = oldest(agreeing.filter((claim) => isOpen(claim) && fits(claim, people)))
    if (fitting) return { row: 3, head: { ...fitting, ...people, people: key }, recorded: fitting }
  } else {
    // A pending that states more is the first of a claim of its own, so that nobody else gets its goal.
    const stating = callback.status === 'pending' ? agreeing.filter((claim) => fits(people, claim)) : agreeing
    const first = oldest(stating)
    // Nobody knows any more whose a forgotten claim was.
    if (first && stating.length === 1 && first.isForgotten !== true) return known(first, 5)
    if (first) return { row: 6, conflictWith: first }
  }
  return { row: 4, head: { id: freeId(identity, key, claims, callback), identity, people: key, ...people } }
}

/** Whether an address that both state differs. Forgotten people contradict nobody. */
function contradicts(claim: People, { referrerEmail, refereeEmail }: People): boolean {
  return differ(claim.referrerEmail, referrerEmail) || differ(claim.refereeEmail, refereeEmail)
}

function differ(one: string | undefined, other: string | undefined): boolean {
  return one !== undefined && other !== undefined && one !== other
}

/** Whether a claim was made of a conflict with these people: no callback makes one, so it has no `people`. */
function isReplayOf({ identity, people, isForgotten, ...said }: ClaimRecord, key: string): boolean {
  return people === undefined && isForgotten !== true && peopleKey(identity, said) === key
}

/** Whether a callback is a fail of what was paid: of the conflict that was replayed, though another claim has the same people. */
function takesBack(winner: ClaimRecord, exact: ClaimRecord, { status }: Callback): boolean {
  return status === 'fail' && (isDelivered(winner.deliveries) || !isDelivered(exact.deliveries))
}

/**
 * Whether a callback may be a fail of what was paid, to a replayed conflict whose people are forgotten: nobody knows any more whether they
 * are those of the claim that has the callback's.
 */
function mayTakeBack({ people, isForgotten, deliveries }: ClaimRecord, { status }: Callback): boolean {
  return people === undefined && isForgotten === true && status === 'fail' && isDelivered(deliveries)
}

/** A claim that no success has come to yet, so that its people may still be completed. */
function isOpen({ deliveries, isForgotten }: ClaimRecord): boolean {
  return isForgotten !== true && !deliveries.some(({ event }) => event === 'success')
}

/** Whether every address that the one states is the other's too. */
function fits(one: People, other: People): boolean {
  return [
    [one.referrerEmail, other.referrerEmail],
    [one.refereeEmail, other.refereeEmail],
  ].every(([stated, said]) => stated === undefined || stated === said)
}

function oldest(claims: readonly ClaimRecord[]): ClaimRecord | undefined {
  const since = ({ deliveries }: ClaimRecord) => Math.min(...deliveries.map(({ callback }) => callback.receivedAt))
  return [...claims].sort((a, b) => since(a) - since(b) || (a.id < b.id ? -1 : 1))[0]
}

/**
 * The first claim has the identity's id, a rival one of its people. Where claims have both that have taken other people since and are
 * forgotten, the time tells them apart: a claim is found by its people, so nothing has to make its id again.
 */
function freeId(identity: string, people: string, claims: readonly ClaimRecord[], { receivedAt }: Callback): string {
  if (claims.length === 0) return identity
  const free = rivalIds(identity, people).find((id) => claims.every((claim) => claim.id !== id))
  return free ?? rivalId(identity, hashOf([people, String(receivedAt)]))
}

/** The ids that a rival with these people may have: the second where the claim with the first has taken other people since. */
export function rivalIds(identity: string, people: string): readonly string[] {
  return [rivalId(identity, people), rivalId(identity, hashOf([people]))]
}

/** The people that a claim a callback belongs to by row 1 or 3 has: those of the callback, or with addresses left out. */
export function fittingPeople(identity: string, { referrerEmail, refereeEmail }: People): readonly string[] {
  const referrers = referrerEmail === undefined ? [{}] : [{ referrerEmail }, {}]
  const referees = refereeEmail === undefined ? [{}] : [{ refereeEmail }, {}]
  return referrers.flatMap((one) => referees.map((other) => peopleKey(identity, { ...one, ...other })))
}

/** What tells a callback from a claim: what contradicts, or else what only one of them states. */
export function differences(claim: ClaimRecord, callback: Callback): readonly Difference[] {
  const contradicting = contradictions(claim, callback)
  if (contradicting.length > 0) return contradicting
  return sidesOf(claim, callback).filter(({ recorded, received }) => recorded !== received)
}

/** Why the ledger's table makes a callback a conflict with the claim that it belongs to: another amount, or else its status. */
export function ledgerDifferences(claim: ClaimRecord, callback: Callback): readonly Difference[] {
  const contradicting = contradictions(claim, callback)
  if (contradicting.length > 0) return contradicting
  return [{ parameter: 'conversion', recorded: claim.status, received: callback.status }]
}

function contradictions(claim: ClaimRecord, callback: Callback): readonly Difference[] {
  return sidesOf(claim, callback).filter(({ recorded, received }) => differ(recorded, received))
}

/** Only successes are compared by their amounts. */
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
