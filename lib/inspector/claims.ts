import type { HistoryEntry, InboxClaim, InboxRow } from 'conversion-webhook'

export const taken = 'another claim has the order'

/* The page and the terminal number the claims of an order. The claim that has the order is number 1. */

/** Sorts the claim that has the order to the front, and keeps the others in their order. */
export function ranked(claims: readonly InboxClaim[]): readonly InboxClaim[] {
  return [...claims].sort((a, b) => Number(b.hasOrder) - Number(a.hasOrder))
}

/** A row or an entry of the history. */
type Subject = Pick<InboxRow | HistoryEntry, 'id' | 'event'>

export function isOf({ id: claim }: InboxClaim, { id, event }: Subject): boolean {
  return claim === (event === undefined ? id : id?.slice(0, id.lastIndexOf(':')))
}

/** The number of the claim to which the subject belongs, counted from 1; undefined if there is only one claim. */
export function numberOf(claims: readonly InboxClaim[], subject: Subject): number | undefined {
  const index = claims.length > 1 ? claims.findIndex((claim) => isOf(claim, subject)) : -1
  return index === -1 ? undefined : index + 1
}

/** Why the order of a row is not simply the row's own: another claim has it, or a conflict differs from the recorded claim. */
export function orderNote({ kind, takenBy, differs = [] }: InboxRow): string | undefined {
  const names = differs.map(({ parameter }) => parameter)
  // A conflict in no address is about the recorded people: it states another amount or status.
  const isTaken = takenBy !== undefined && (kind !== 'conflict' || names.some((name) => name.endsWith('_email')))
  if (isTaken) return taken
  return kind === 'conflict' ? `differs in ${names.join(', ')}` : undefined
}

/** What a replay of a row does: `again` makes one more try, `moves` gives the order to the row's claim, `joins` records a conflict for `agreesWith`. */
export type Replay = 'again' | 'moves' | 'joins'

/** A conflict without `conversion` counts as a success: without a webhook the inbox cannot parse it. */
export function replayOf({ kind, state, code, takenBy, conversion, agreesWith }: InboxRow): Replay {
  const isTaken = state === 'refused' && takenBy !== undefined && code === 'ERR_CONVERSION_ORDER_TAKEN'
  if (kind !== 'conflict') return isTaken ? 'moves' : 'again'
  if (agreesWith !== undefined) return 'joins'
  return takenBy !== undefined && (conversion?.status ?? 'success') === 'success' ? 'moves' : 'again'
}
