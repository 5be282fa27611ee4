import type { Delivering, Verdict } from './inbox.js'
import type { DeliveryKey } from './records.js'

/** The verdict on an attempt that did not settle its delivery. */
export type Failure = Extract<Verdict, { state: 'waiting' }>

/** What came of an attempt: undefined if the delivery is settled. */
export type Result = Failure | undefined

/** The attempts under way for one claim. */
export class Work {
  /** Attempts without a verdict: a callback that needs the same delivery meanwhile waits for the same attempt. */
  readonly attempts = new Map<DeliveryKey, Promise<Result>>()
  /** Handlers that run, in time or late: the claim's other deliveries wait for them. */
  readonly running = new Map<DeliveryKey, Delivering>()
  /** The last of `attempts`, which the next one waits for. */
  tail: Promise<unknown> | undefined
  /** Whether a handler is being called: the handler may send a callback itself. */
  isCalling = false

  get isIdle(): boolean {
    return this.attempts.size === 0 && this.running.size === 0 && !this.isCalling
  }

  /** Resolves when all earlier attempts have verdicts and their handlers have ended. */
  async turn(): Promise<void> {
    await this.tail
    if (this.running.size > 0) await Promise.all([...this.running.values()].map(({ finished }) => finished))
  }
}
