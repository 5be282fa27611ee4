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
  const message = `The handler of ${event} runs on, ${String(host.handlerTimeoutMs)} ms after its signal was aborted. Its conversion waits for its end, and nothing else does. Give what it calls a time limit, or pass it context.signal.`
  host.onError(new ConversionWebhookError('ERR_CONVERSION_HANDLER_STUCK', { message }), job)
  if (!slots.isExhausted) return
  const stopped = `${String(slots.stuck)} handlers are stuck, as many as may be, so this process delivers nothing more until one of them ends. Callbacks are still recorded by a durable inbox. Find out what the handlers wait for, then restart the process.`
  host.onError(new ConversionWebhookError('ERR_CONVERSION_DELIVERY_STOPPED', { message: stopped }))
}
