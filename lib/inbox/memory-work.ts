import type { Delivering, Verdict } from './inbox.js'
import type { DeliveryKey } from './records.js'

/** The verdict on an attempt that did not settle its delivery. */
export type Failure = Extract<Verdict, { state: 'waiting' }>

/** What came of an attempt: undefined if the delivery is settled. */
export type Result = Failure | undefined

/** An attempt without a verdict. */
interface UnderWay {
  readonly key: DeliveryKey
  readonly ended: Promise<Result>
}

/** The attempts under way for one claim: few at a time, and none if all handlers return no promise. */
export class Work {
  /** Attempts in the order of their turns: a callback that needs the same delivery meanwhile waits for the same attempt. */
  attempts: readonly UnderWay[] = []
  /** Handlers that run, in time or late: the claim's other deliveries wait for them. */
  running: readonly Delivering[] = []
  /** Whether a handler is being called: the handler may send a callback itself. */
  isCalling = false

  get isIdle(): boolean {
    return this.attempts.length === 0 && this.running.length === 0 && !this.isCalling
  }

  /** Resolves when all earlier attempts have verdicts and their handlers have ended. */
  async turn(): Promise<void> {
    await this.attempts.at(-1)?.ended
    if (this.running.length > 0) await Promise.all(this.running.map(({ finished }) => finished))
  }
}
