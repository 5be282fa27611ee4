import type { AttemptMark } from './records.js'
import type { Candidate } from './store.js'

/** An attempt whose process is gone, or that its own process does not know of. */
export interface LeftAttempt extends AttemptMark {
  /** The id of its claim. */
  readonly claim: string
}

/** Whether two attempts at one delivery are the same one. */
export function isSameAttempt(one: AttemptMark, other: AttemptMark): boolean {
  return one.owner !== undefined && one.owner === other.owner && one.startedAt === other.startedAt
}

/** Those of some attempts that were found before as well. */
export function seenAgain(found: readonly LeftAttempt[], before: readonly LeftAttempt[]): readonly LeftAttempt[] {
  return found.filter((each) => before.some((other) => other.claim === each.claim && isSameAttempt(other, each)))
}

/**
 * A candidate that ends the attempt with which it was found, and no other: until it is looked at, the delivery may have been taken over by
 * somebody who lives. One that was found as due ends none.
 */
export function candidateFor(owner: string, found: LeftAttempt | string): Candidate {
  if (typeof found === 'string') return { claim: found, owner, isLapsed: () => false }
  return { claim: found.claim, owner, isLapsed: (attempt) => isSameAttempt(attempt, found) }
}
