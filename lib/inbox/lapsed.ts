import type { AttemptMark } from './records.js'
import type { Candidate } from './store.js'

/** An attempt whose process is gone, or that is recorded for a process in which it does not run. */
export interface LeftAttempt extends AttemptMark {
  /** The id of its claim. */
  readonly claim: string
}

/** Whether two attempts at one delivery are the same one. */
export function isSameAttempt(one: AttemptMark, other: AttemptMark): boolean {
  return one.owner !== undefined && one.owner === other.owner && one.startedAt === other.startedAt
}

/** The found attempts that were also found before. */
export function seenAgain(found: readonly LeftAttempt[], before: readonly LeftAttempt[]): readonly LeftAttempt[] {
  return found.filter((each) => before.some((other) => other.claim === each.claim && isSameAttempt(other, each)))
}

/**
 * A candidate that ends the attempt that was found, and no other: before the candidate is processed, a live process may have taken the
 * delivery over. If only a claim's id was found, because a delivery of the claim is due, the candidate ends no attempt.
 */
export function candidateFor(owner: string, found: LeftAttempt | string): Candidate {
  if (typeof found === 'string') return { claim: found, owner, isLapsed: () => false }
  return { claim: found.claim, owner, isLapsed: (attempt) => isSameAttempt(attempt, found) }
}
