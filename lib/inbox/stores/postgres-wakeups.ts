import { deliveryId, isRunning, keyOf, type ClaimRecord } from '../records.js'
import type { WakeUp } from './postgres-jobs.js'
import type { Written } from './postgres-rows.js'

/* Which jobs a transaction makes and ends, told from what it changed. Pure. */

/** Owners whose attempt ended in these changes, and those of `served` that do not run: candidates and attempts of which nothing is left. */
export function endedOwners(written: readonly Written[], served: readonly string[]): readonly string[] {
  const running = new Set(written.flatMap(({ after }) => ownersIn(after)))
  const before = written.flatMap((each) => (each.before ? ownersIn(each.before) : []))
  return [...new Set([...before, ...served])].filter((owner) => !running.has(owner))
}

/**
 * Whom to wake: what is new or is to be tried at another time; what had to wait for a sibling that ran; and what a candidate came for
 * in vain (`unused`, ids of deliveries), so that nothing that waits is without a job.
 */
export function wakeUpsFor(written: readonly Written[], unused: readonly string[], now: number): readonly WakeUp[] {
  const cameInVain = new Set(unused)
  return written.flatMap(({ before, after }) => {
    const isFree = !isRunning(after)
    const wasRunning = before !== undefined && isRunning(before)
    return after.deliveries
      .filter(({ state }) => state === 'waiting')
      .map((delivery) => ({ delivery, id: deliveryId(after.id, keyOf(delivery)) }))
      .filter(({ delivery, id }) => {
        const old = before?.deliveries.find((known) => keyOf(known) === keyOf(delivery))
        const isNews = old?.state !== 'waiting' || old.dueAt !== delivery.dueAt
        return isNews || (isFree && (cameInVain.has(id) || (wasRunning && delivery.dueAt <= now)))
      })
      .map(({ delivery, id }) => ({
        deliveryId: id,
        delayMs: Math.max(0, delivery.dueAt - now),
        kind: delivery.attempts > 0 || delivery.holds > 0 ? 'repeated' : cameInVain.has(id) ? 'returned' : 'fresh',
      }))
  })
}

function ownersIn({ deliveries }: ClaimRecord): string[] {
  return deliveries.map(({ owner }) => owner).filter((owner) => owner !== undefined)
}
