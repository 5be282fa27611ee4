import type { HistoryEntry, InboxClaim, InboxRow } from 'conversion-webhook'

/* How the claims of an order are shown, on the page and in the terminal: numbered, the one that has the order first. */

/** The claim that has the order, then the others as they are given. */
export function ranked(claims: readonly InboxClaim[]): readonly InboxClaim[] {
  return [...claims].sort((a, b) => Number(b.hasOrder) - Number(a.hasOrder))
}

/** Whether a row, or an entry of the history, belongs to a claim. */
export function isOf({ id: claim }: InboxClaim, { id, event }: Pick<InboxRow | HistoryEntry, 'id' | 'event'>): boolean {
  return claim === (event === undefined ? id : id?.slice(0, id.lastIndexOf(':')))
}

/** Which of several claims a row or an entry of the history belongs to, counted from 1. */
export function numberOf(
  claims: readonly InboxClaim[],
  subject: Pick<InboxRow | HistoryEntry, 'id' | 'event'>,
): number | undefined {
  const index = claims.length > 1 ? claims.findIndex((claim) => isOf(claim, subject)) : -1
  return index === -1 ? undefined : index + 1
}

/** What a replay of a row does: it tries once more, moves the order to the row's claim, or records a conflict for the claim that it agrees with. */
export type Replay = 'again' | 'moves' | 'joins'

/** Of a conflict without a webhook, which types it, nobody knows whether it is a success. */
export function replayOf({ kind, state, code, takenBy, conversion, agreesWith }: InboxRow): Replay {
  const isTaken = state === 'refused' && takenBy !== undefined && code === 'ERR_CONVERSION_ORDER_TAKEN'
  if (kind !== 'conflict') return isTaken ? 'moves' : 'again'
  if (agreesWith !== undefined) return 'joins'
  return takenBy !== undefined && (conversion?.status ?? 'success') === 'success' ? 'moves' : 'again'
}
