import { isSameAttempt, type AttemptMark } from '../records.js'
import type { Candidate } from '../store.js'

/* Which processes are gone, and which attempts they left behind. No I/O, no clock. */

const lookedLongAgoMs = 10_000
const goneAfterMs = 20_000

type Beats = ReadonlyMap<string, number>

/**
 * Tells which other processes are gone: those whose beat has not changed for 20 s in which this process was looking. Time in which this
 * process itself was stopped or busy does not count, since it saw no beats then. Times are monotonic, in milliseconds.
 */
export class GoneWorkers {
  #workers: ReadonlyMap<string, { readonly beat: number; readonly silentMs: number }> = new Map()
  #lookedAt = -Infinity

  /** Called with the current beats of all other processes. */
  look(beats: Beats, now: number): void {
    const passedMs = now - this.#lookedAt
    const wasLooking = passedMs <= lookedLongAgoMs
    this.#lookedAt = now
    const known = this.#workers
    const silentMs = (id: string, beat: number): number => {
      const before = known.get(id)
      return wasLooking && before?.beat === beat ? before.silentMs + passedMs : 0
    }
    this.#workers = new Map([...beats].map(([id, beat]) => [id, { beat, silentMs: silentMs(id, beat) }]))
  }

  /** The processes that are gone and have not beaten by now; none if the last look is too long ago to judge. */
  gone(beats: () => Beats, now: number): readonly string[] {
    if (now - this.#lookedAt > lookedLongAgoMs) return []
    const silent = [...this.#workers].filter(([, { silentMs }]) => silentMs >= goneAfterMs)
    if (silent.length === 0) return []
    const current = beats()
    return silent.filter(([id, { beat }]) => current.get(id) === beat).map(([id]) => id)
  }
}

/** An attempt whose process is gone, or that is recorded for a process in which it does not run. */
export interface LeftAttempt extends AttemptMark {
  /** The id of its claim. */
  readonly claim: string
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
