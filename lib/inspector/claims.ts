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

/**
 * Whether a replay of a row moves the order away from the claim that has it. A conflict that is no success does not; without a webhook,
 * which types it, nobody knows.
 */
export function movesOrder({ kind, state, code, takenBy, conversion }: InboxRow): boolean {
  if (takenBy === undefined) return false
  if (kind === 'conflict') return state === 'conflict' && (conversion?.status ?? 'success') === 'success'
  return state === 'refused' && code === 'ERR_CONVERSION_ORDER_TAKEN'
}
