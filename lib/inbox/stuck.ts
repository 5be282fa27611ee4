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
  const message = `The handler of ${event} still runs, ${String(host.handlerTimeoutMs)} ms after its signal was aborted. Until it ends, nothing else of its conversion is delivered. Give each call that the handler waits for a time limit, or pass context.signal to it.`
  host.onError(new ConversionWebhookError('ERR_CONVERSION_HANDLER_STUCK', { message }), job)
  if (!slots.isExhausted) return
  const stopped = `${String(slots.stuck)} handlers are stuck, which is the limit, so this process delivers nothing more until one of them ends. A durable inbox still records callbacks. Find out what the handlers wait for, then restart the process.`
  host.onError(new ConversionWebhookError('ERR_CONVERSION_DELIVERY_STOPPED', { message: stopped }))
}
