import { ConversionWebhookError } from '../errors.js'
import { settlesWithin } from '../util/settles-within.js'
import type { Delivering, InboxHost, Job, Verdict } from './inbox.js'
import type { Slot, Slots } from './slots.js'

/** An attempt whose time has run out, though its handler runs on. */
interface Late {
  readonly job: Job
  readonly delivering: Delivering
  readonly slot: Slot
}

/** What runs in a process. */
interface Running {
  readonly host: InboxHost
  readonly slots: Slots
  /** What the end of the inbox waits for. */
  readonly running: Set<Delivering>
}

export function isLate(verdict: Verdict): boolean {
  return verdict.state === 'waiting' && verdict.code === 'ERR_CONVERSION_HANDLER_LATE'
}

/**
 * Gives a handler that was told by its signal the same time once more. Then its slot is for others and the end of the inbox no longer
 * waits for it: a handler that never ends would stop all delivery. Resolves when it has ended, or when it is stuck.
 */
export async function giveUpOn({ job, delivering, slot }: Late, { host, slots, running }: Running): Promise<void> {
  if (await settlesWithin(host.handlerTimeoutMs, delivering.finished, { isUnref: true })) return
  slot.giveAway()
  running.delete(delivering)
  const { event } = job
  const values = { event, ms: host.handlerTimeoutMs }
  host.onError(new ConversionWebhookError('ERR_CONVERSION_HANDLER_STUCK', { values }), job)
  if (!slots.isExhausted) return
  const { stuck } = slots
  host.onError(new ConversionWebhookError('ERR_CONVERSION_DELIVERY_STOPPED', { values: { stuck } }))
}
