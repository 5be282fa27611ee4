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

/** What this process runs. */
interface Running {
  readonly host: InboxHost
  readonly slots: Slots
  /** The attempts that `close` waits for. */
  readonly running: Set<Delivering>
}

export function isLate(verdict: Verdict): boolean {
  return verdict.state === 'waiting' && verdict.code === 'ERR_CONVERSION_HANDLER_LATE'
}

/**
 * Waits for a late handler for another `handlerTimeoutMs`. If the handler still runs, it is stuck: its slot goes to others and `close` no
 * longer waits for it, since a handler that never ends would stop all deliveries. Resolves when the handler has ended or is stuck.
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
