import { debug, shortId } from '../debug.js'
import { ConversionWebhookError, isConversionWebhookError } from '../errors.js'
import { settleAttempt, takeOver, type Claiming, type ClaimResult, type StartedDelivery } from './transitions.js'
import { changesOf, giveUpOn, isLate, reportLostOrder } from './running-attempt.js'
import { attemptOf, jobOf, type OwnAttempt, type RetryPolicy } from './delivery.js'
import type { Delivering, InboxHost, Job, Verdict } from './inbox.js'
import { rereadQuarantined } from './operators/replay.js'
import type { Slot, Slots } from './slots.js'
import { isOfStoredValue, type Candidate, type Change, type Changed, type DurableStore, type Found } from './store.js'
import { UnreadableCandidates } from './unreadable-candidates.js'

const beatMs = 5_000
const settleAgainMs = 1_000
const maxCandidates = 100

/** A change that may claim a delivery. `slot` takes a slot for the delivery, and returns false if none is free. */
interface SlotChange<T> extends Pick<Change<T>, 'claim' | 'callback' | 'candidateOwner'> {
  readonly apply: (found: Found, slot: () => boolean) => Changed<T>
}

/**
 * Delivers what a store has recorded to the handlers of one webhook: looks for candidates, claims and runs deliveries, records verdicts,
 * and takes over attempts of processes that are gone. The rules are in `delivery.ts` and `transitions.ts`; this class decides when they
 * are asked.
 */
export class Deliverer<Tx> {
  readonly #store: DurableStore<Tx>
  readonly #host: InboxHost
  readonly #slots: Slots
  readonly #running: Set<Delivering>
  #timers: readonly NodeJS.Timeout[] = []
  #look: Promise<void> | undefined
  #mustLookAgain = false
  /** Attempts that run in this process: two of one claim if another process took this one for gone, and this one then claimed the delivery again. */
  readonly #active = new Set<StartedDelivery>()
  readonly #unreadable = new UnreadableCandidates()
  #isStarted = false
  #isStopped = false
  #isFailing = false

  constructor(store: DurableStore<Tx>, host: InboxHost, slots: Slots, running: Set<Delivering>) {
    this.#store = store
    this.#host = host
    this.#slots = slots
    this.#running = running
  }

  start(): void {
    const beat = () => void this.#beat()
    this.#timers = [setInterval(this.wake, this.#store.pollMs).unref(), setInterval(beat, beatMs).unref()]
    this.#store.listen(this.wake)
    beat()
  }

  /** Claims no more deliveries. */
  stop(): void {
    this.#isStopped = true
    for (const timer of this.#timers) clearInterval(timer)
  }

  /** Resolves when no look is under way. */
  async idle(): Promise<void> {
    await this.#look
  }

  /** Makes a change that may claim a delivery, and runs the claimed delivery. */
  async change<T extends ClaimResult>({ apply, ...change }: SlotChange<T>): Promise<T> {
    let taken: Slot | undefined
    let isOver = false // after a timeout the storage may still call `apply`, which must not take a slot then
    const slot = (): boolean => {
      if (!isOver) taken ??= this.#slots.take()
      if (taken === undefined) this.#mustLookAgain = true // when a slot becomes free
      return taken !== undefined
    }
    try {
      const result = await this.#store.change({ ...change, apply: (found) => apply(found, slot) })
      const { started, lost } = result
      if (started !== undefined && taken !== undefined) {
        void this.#run(started, taken)
        taken = undefined
      }
      this.#tell(lost)
      return result
    } finally {
      isOver = true
      taken?.release()
    }
  }

  /** How a change may claim without a candidate; undefined if this process does not deliver, or if the store requires a candidate. */
  claiming(slot: () => boolean): Claiming | undefined {
    const { owner } = this.#store
    if (!this.#isStarted || this.#isStopped || owner === undefined || !delivers(this.#host)) return undefined
    return { ...this.#claimer(owner), mayRun: slot }
  }

  #claimer(owner: string): Omit<Claiming, 'mayRun'> {
    const { handlers, hasConfirm } = this.#host
    return { handlers, hasConfirm, owner, now: this.#store.now() }
  }

  /**
   * Runs one attempt to its end. Then runs the next delivery of the same claim, or looks for candidates. Never rejects.
   * Calls `confirm` or the handler at once: if the delivery was claimed as it was recorded, that is before the answer is sent.
   */
  async #run(started: StartedDelivery, slot: Slot): Promise<void> {
    const { claim, delivery } = started
    let isOver = false
    const job = jobOf(claim, delivery)
    const attempt = attemptOf(claim, delivery)
    const changes = changesOf(this.#store, {
      attempt,
      isOver: () => isOver,
      policy: () => this.#policy(),
      changeWithRetry: (change) => this.#changeWithRetry(change),
      onDead: (error) => {
        this.#host.onDead({ job, error })
      },
    })
    this.#active.add(started)
    const delivering = this.#host.deliver({ ...job, ...changes })
    let verdict
    if ('state' in delivering) {
      verdict = delivering
    } else {
      this.#running.add(delivering)
      verdict = await delivering.verdict
      isOver = true
      if (isLate(verdict)) {
        await giveUpOn({ job, delivering, slot, host: this.#host, slots: this.#slots, running: this.#running })
        if (this.#mustLookAgain) this.wake()
      }
      await delivering.finished // until then the delivery stays recorded as running, so that no other delivery of its claim runs
      this.#running.delete(delivering)
    }
    isOver = true
    slot.handOn()
    if (this.#mustLookAgain) this.wake()
    const next = await this.#settle(attempt, verdict, job, slot)
    this.#active.delete(started)
    if (next !== undefined) {
      void this.#run(next, slot)
      return
    }
    slot.release()
    if (this.#mustLookAgain) this.wake()
  }

  /** Records the verdict on an attempt, and claims the next delivery of the claim. */
  async #settle(attempt: OwnAttempt, verdict: Verdict, job: Job, slot: Slot): Promise<StartedDelivery | undefined> {
    const settled = await this.#changeWithRetry({
      claim: attempt.claim,
      attemptOwner: attempt.owner,
      apply: (found) => {
        const claiming = this.claiming(() => slot.retake())
        return settleAttempt(found, attempt, verdict, this.#policy(), claiming)
      },
    })
    if (settled?.isDead) this.#host.onDead({ job, error: 'error' in verdict ? verdict.error : undefined })
    this.#tell(settled?.lost)
    return settled?.started
  }

  #tell(lost: ClaimResult['lost']): void {
    reportLostOrder(this.#store, lost, this.#host).catch(this.failed)
  }

  /** Makes a change, and repeats it each second while the storage fails; undefined if the inbox is closed meanwhile. */
  async #changeWithRetry<T>(change: Change<T, Tx>): Promise<T | undefined> {
    for (;;) {
      try {
        return await this.#store.change(change)
      } catch (error) {
        debug.delivery('%s could not be settled', shortId(change.claim ?? ''))
        this.failed(error)
        if (this.#isStopped) return undefined // another process takes the delivery over
        await new Promise((resolve) => setTimeout(resolve, settleAgainMs).unref())
      }
    }
  }

  /** Looks for candidates now or, if a look is under way, after that look. */
  readonly wake = (): void => {
    if (!this.#isStarted || this.#isStopped || !delivers(this.#host)) return
    this.#mustLookAgain = this.#look !== undefined
    if (this.#mustLookAgain) return
    this.#look = this.#lookAround()
      .then(() => {
        this.#isFailing = false
      }, this.failed)
      .finally(() => {
        this.#look = undefined
        if (this.#mustLookAgain && this.#slots.free > 0) this.wake()
      })
  }

  /** Claims candidates until no slot is free or no candidate is found. */
  async #lookAround(): Promise<void> {
    while (!this.#isStopped) {
      await new Promise(setImmediate) // so that one query serves all slots that become free in this turn
      const limit = Math.min(this.#slots.free, maxCandidates)
      if (limit === 0) {
        this.#mustLookAgain = true
        return
      }
      const candidates = await this.#store.candidates(limit, this.#unreadable.leftOut(this.#store.now()))
      const changed = await Promise.all(candidates.map((candidate) => this.#take(candidate)))
      if (!changed.includes(true)) return
    }
  }

  /**
   * Processes a candidate; false if that changed nothing, because another process was faster. A candidate with a stored value that cannot be
   * read is reported, and left out for a minute, so that it keeps no delivery behind it waiting.
   */
  async #take(candidate: Candidate): Promise<boolean> {
    try {
      return 'quarantined' in candidate ? await this.#reread(candidate.quarantined) : await this.#takeClaim(candidate)
    } catch (error) {
      if (!isOfStoredValue(error)) throw error
      const id = 'quarantined' in candidate ? candidate.quarantined : candidate.claim
      if (this.#unreadable.add(id, this.#store.now())) this.#host.onError(error)
      return true // others may stand behind it
    }
  }

  async #takeClaim({ claim, owner, isLapsed }: Extract<Candidate, { claim: string }>): Promise<boolean> {
    const { dead, isChanged } = await this.change({
      claim,
      candidateOwner: owner,
      apply: (found, slot) => {
        const claiming = { ...this.#claimer(owner), mayRun: () => !this.#isStopped && slot() }
        return takeOver(found, isLapsed, this.#policy(), claiming)
      },
    })
    for (const delivery of dead) {
      const error = new ConversionWebhookError('ERR_CONVERSION_ATTEMPT_LAPSED')
      this.#host.onDead({ job: jobOf(claim, delivery), error })
    }
    return isChanged
  }

  async #reread(id: string): Promise<boolean> {
    const quarantined = await this.#store.quarantined(id)
    if (quarantined?.kind !== 'refused') return false
    const isRecorded = (await rereadQuarantined(this.#store, quarantined, this.#host)) !== undefined
    debug.inbox('%s read again, %s', shortId(id), isRecorded ? 'recorded' : 'refused')
    if (isRecorded) this.#mustLookAgain = true
    return isRecorded
  }

  /** Records that this process lives. Before its first beat a process claims nothing: others would take it for gone. */
  async #beat(): Promise<void> {
    if (!delivers(this.#host)) return
    try {
      await this.#store.beat()
      const active = new Set([...this.#active].map(({ claim }) => claim))
      for (const candidate of await this.#store.leftBehind(active)) await this.#take(candidate)
      if (this.#isStarted) return
      this.#isStarted = true
      this.wake()
    } catch (error) {
      this.failed(error)
    }
  }

  #policy(): RetryPolicy {
    const { maxAttempts, maxHoldMs } = this.#host
    return { now: this.#store.now(), random: Math.random(), maxAttempts, maxHoldMs }
  }

  /** Reports a storage failure once, until the storage works again. */
  readonly failed = (error: unknown): void => {
    if (this.#isFailing || this.#isStopped) return
    this.#isFailing = true
    this.#host.onError(isConversionWebhookError(error) && error.cause !== undefined ? error.cause : error)
  }
}

/** A process without any handler only records callbacks. */
function delivers(host: InboxHost): boolean {
  return (['pending', 'success', 'goalComplete', 'fail'] as const).some((event) => host.handlers.has(event))
}
