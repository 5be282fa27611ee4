import type { Callback } from '../callback/conversion.js'
import { debug, shortId } from '../debug.js'
import { ConversionWebhookError, isConversionWebhookError } from '../errors.js'
import { BaseInbox } from './base.js'
import { claimNext, jobOf, lapse, settle, type Patience } from './delivery.js'
import { identityOf } from './identity.js'
import type { Accepted, Inbox, InboxHost, Job, Verdict } from './inbox.js'
import { decide, previousOf, type ConversionEvent } from './ledger.js'
import {
  applyDecision,
  conflictOf,
  findDelivery,
  keyOf,
  type Delivery,
  type HeldCallback,
  type IdentityRecord,
} from './records.js'
import { recordReread } from './replay.js'
import type { Release } from './slots.js'
import type { Candidate, Changed, DurableStore } from './store.js'

const beatMs = 5_000
const settleAgainMs = 1_000
const maxCandidates = 100

/** Tells the time, in milliseconds since 1970. */
export interface Clock {
  now(): number
}

/** A delivery that was claimed, before it runs. */
interface Claim {
  readonly identity: string
  readonly delivery: Delivery
}

/**
 * The inbox over a store that outlives the process: records before the answer, delivers in the background, tries again, and takes over
 * what a process that is gone left running. All rules are elsewhere (`ledger.ts`, `delivery.ts`); here is when they are asked.
 */
export class DurableInbox<Tx, Commit> extends BaseInbox implements Inbox<Commit> {
  readonly isDurable = true
  readonly #store: DurableStore<Tx>
  #timers: readonly NodeJS.Timeout[] = []
  #look: Promise<void> | undefined
  #mustLookAgain = false
  #isStarted = false
  #isFailing = false

  readonly #clock: Clock

  constructor(store: DurableStore<Tx>, clock: Clock = Date) {
    super(store)
    this.#store = store
    this.#clock = clock
  }

  protected start(host: InboxHost): void {
    setImmediate(() => {
      if (this.isClosed) return
      const wake = (): void => {
        this.wake()
      }
      const beat = (): void => {
        void this.#beat(host)
      }
      this.#timers = [setInterval(wake, this.#store.pollMs).unref(), setInterval(beat, beatMs).unref()]
      this.#store.listen(wake)
      beat()
    })
  }

  async accept(callback: Callback): Promise<Accepted> {
    const host = this.requireHost()
    const id = identityOf(callback)
    let slot: Release | undefined
    try {
      const { accepted, claim } = await this.#store.change<{ accepted: Accepted; claim?: Claim }>({
        identity: id,
        apply: ({ record: recorded }) => {
          const decision = decide(recorded, callback)
          const { outcome } = decision
          const applied = applyDecision(id, recorded, callback, decision)
          if (outcome === 'conflict') {
            const accepted: Accepted = { outcome, id, recorded: previousOf(applied.record) }
            return { record: applied.record, hold: conflictOf(id, callback), counted: outcome, result: { accepted } }
          }
          const accepted: Accepted = { outcome, id }
          if (!this.#claimsNow(host)) return { record: applied.record, counted: outcome, result: { accepted } }
          slot ??= this.slots.take()
          const claimed = this.#claimIn(applied.record, slot !== undefined, host)
          return { ...claimed, counted: outcome, result: { accepted, ...claimed.result } }
        },
      })
      debug.inbox('%s %s %s', shortId(id), callback.status, accepted.outcome)
      const taken = slot
      slot = undefined
      this.#runOrRelease(claim, taken, host)
      if (accepted.outcome === 'accepted' && claim === undefined) this.wake()
      return accepted
    } finally {
      slot?.()
    }
  }

  async hold(callback: HeldCallback): Promise<void> {
    this.requireHost()
    await this.#store.change({ apply: () => ({ hold: callback, counted: callback.kind, result: undefined }) })
  }

  protected stop(): void {
    for (const timer of this.#timers) clearInterval(timer)
  }

  protected async end(): Promise<void> {
    await this.#look
    debug.inbox('closed, %d handlers left running', this.running.size)
    await this.#store.close()
  }

  /** Whether a change may claim by itself: this process delivers, and the store needs no candidate for it. */
  #claimsNow(host: InboxHost): boolean {
    return this.#isStarted && !this.isClosed && this.#store.owner !== undefined && delivers(host)
  }

  /** The part of a change that claims the next delivery of its identity. */
  #claimIn(
    record: IdentityRecord,
    mayRun: boolean,
    host: InboxHost,
    owner = this.#store.owner,
  ): Changed<{ claim?: Claim }> {
    if (owner === undefined) return { record, result: {} }
    const claimer = { hasHandler: (event: ConversionEvent) => host.hasHandler(event), owner, now: this.#clock.now() }
    const { record: claimed, delivery } = claimNext(record, claimer, mayRun)
    return { record: claimed, result: delivery ? { claim: { identity: record.id, delivery } } : {} }
  }

  #runOrRelease(claim: Claim | undefined, slot: Release | undefined, host: InboxHost): void {
    if (claim !== undefined && slot !== undefined) void this.#run(claim, slot, host)
    else slot?.()
  }

  /** One attempt, to its end; then the next of the same identity, or a look around. Never rejects. */
  async #run({ identity, delivery }: Claim, slot: Release, host: InboxHost): Promise<void> {
    const key = keyOf(delivery)
    let isOver = false
    const commit = (fn: (tx: never) => unknown): Promise<unknown> => {
      let value: unknown
      return this.#store
        .change({
          identity,
          apply: ({ record }) => {
            if (isOver || !record || !isOurs(record, delivery)) {
              throw new ConversionWebhookError('ERR_CONVERSION_ATTEMPT_LAPSED')
            }
            return { record: settle(record, key, { state: 'done' }, this.#patience(host)), result: undefined }
          },
          effect: (tx: Tx) => {
            value = fn(tx as never)
            return value
          },
        })
        .then(() => value)
    }
    const job: Job = { ...jobOf(identity, delivery), commit }
    const delivering = host.deliver(job)
    this.running.add(delivering)
    const verdict = await delivering.verdict
    isOver = true
    await delivering.finished // its retry waits for it, and so does its slot
    this.running.delete(delivering)
    const next = await this.#settle(identity, delivery, verdict, job, host)
    if (next !== undefined) {
      void this.#run(next, slot, host)
      return
    }
    slot()
    if (this.#mustLookAgain) this.wake()
  }

  /** Marks what an attempt came to, as often as the storage needs; and claims the next delivery of the identity. */
  async #settle(
    identity: string,
    delivery: Delivery,
    verdict: Verdict,
    job: Job,
    host: InboxHost,
  ): Promise<Claim | undefined> {
    const key = keyOf(delivery)
    for (;;) {
      try {
        const { claim, isDead } = await this.#store.change<{ claim?: Claim; isDead?: boolean }>({
          identity,
          apply: ({ record }) => {
            if (record === undefined) return { result: {} }
            const isMine = isOurs(record, delivery)
            const judged = isMine ? settle(record, key, verdict, this.#patience(host)) : record
            const isDead = isMine && findDelivery(judged, key)?.state === 'dead'
            if (!this.#claimsNow(host)) return { record: judged, result: { isDead } }
            const claimed = this.#claimIn(judged, true, host)
            return { ...claimed, result: { ...claimed.result, isDead } }
          },
        })
        if (isDead === true) host.onDead({ job, error: 'error' in verdict ? verdict.error : undefined })
        return claim
      } catch (error) {
        debug.delivery('%s could not be settled', shortId(identity))
        this.#failed(error, host)
        if (this.isClosed) return undefined // another process takes it over
        await new Promise((resolve) => setTimeout(resolve, settleAgainMs).unref())
      }
    }
  }

  /** Looks for what waits, now or after the look that is under way. */
  protected wake(): void {
    const { host } = this
    if (host === undefined || !this.#isStarted || this.isClosed || !delivers(host)) return
    if (this.#look !== undefined) {
      this.#mustLookAgain = true
      return
    }
    this.#mustLookAgain = false
    this.#look = this.#lookAround(host)
      .then(
        () => {
          this.#isFailing = false
        },
        (error: unknown) => {
          this.#failed(error, host)
        },
      )
      .finally(() => {
        this.#look = undefined
        if (this.#mustLookAgain && this.slots.free > 0) this.wake()
      })
  }

  /** Claims as much as there are slots for. */
  async #lookAround(host: InboxHost): Promise<void> {
    while (!this.isClosed) {
      const limit = Math.min(this.slots.free, maxCandidates)
      if (limit === 0) {
        this.#mustLookAgain = true
        return
      }
      const candidates = await this.#store.candidates(this.#clock.now(), limit)
      const taken = await Promise.all(candidates.map((candidate) => this.#take(candidate, host)))
      if (candidates.length < limit || !taken.includes(true)) return
    }
  }

  /** Makes something of a candidate; false where another process was faster. */
  async #take(candidate: Candidate, host: InboxHost): Promise<boolean> {
    if ('held' in candidate) return this.#reread(candidate.held, host)
    const { identity, owner } = candidate
    let slot: Release | undefined
    try {
      const { claim, dead, isChanged } = await this.#store.change<{
        claim?: Claim
        dead: Delivery[]
        isChanged: boolean
      }>({
        identity,
        apply: ({ record }) => {
          if (record === undefined) return { result: { dead: [], isChanged: false } }
          const lapsed = record.deliveries.filter(
            (delivery) => delivery.owner !== undefined && candidate.isLapsed(delivery.owner),
          )
          const taken = lapsed.reduce((found, delivery) => lapse(found, keyOf(delivery), this.#patience(host)), record)
          const dead = lapsed.filter((delivery) => findDelivery(taken, keyOf(delivery))?.state === 'dead')
          slot ??= !this.isClosed ? this.slots.take() : undefined
          const claimed = this.#claimIn(taken, slot !== undefined, host, owner)
          return { ...claimed, result: { ...claimed.result, dead, isChanged: claimed.record !== record } }
        },
      })
      for (const delivery of dead) {
        host.onDead({
          job: jobOf(identity, delivery),
          error: new ConversionWebhookError('ERR_CONVERSION_ATTEMPT_LAPSED'),
        })
      }
      const free = slot
      slot = undefined
      this.#runOrRelease(claim, free, host)
      return isChanged
    } finally {
      slot?.()
    }
  }

  async #reread(id: string, host: InboxHost): Promise<boolean> {
    const held = await this.#store.held(id)
    if (held?.kind !== 'refused') return false
    const reread = host.reread(held)
    const isRecorded = await recordReread(
      this.#store,
      held,
      reread,
      reread.ok ? identityOf(reread.callback) : undefined,
    )
    debug.inbox('%s read again, %s', shortId(id), isRecorded ? 'recorded' : 'refused')
    if (isRecorded) this.#mustLookAgain = true
    return isRecorded
  }

  /** Says that this process lives; before the first time it claims nothing, since others would take it for gone. */
  async #beat(host: InboxHost): Promise<void> {
    if (!delivers(host)) return
    try {
      await this.#store.beat()
    } catch (error) {
      this.#failed(error, host)
      return
    }
    if (this.#isStarted) return
    this.#isStarted = true
    this.wake()
  }

  #patience({ maxAttempts, holdForMs }: InboxHost): Patience {
    return { now: this.#clock.now(), random: Math.random(), maxAttempts, holdForMs }
  }

  /** A storage that is down is told once, until it works again. */
  #failed(error: unknown, host: InboxHost): void {
    if (this.#isFailing || this.isClosed) return
    this.#isFailing = true
    host.onError(isConversionWebhookError(error) && error.cause !== undefined ? error.cause : error)
  }
}

const events: readonly ConversionEvent[] = ['pending', 'success', 'goalComplete', 'fail']

/** Without any handler a process only receives. */
function delivers(host: InboxHost): boolean {
  return events.some((event) => host.hasHandler(event))
}

/** Whether the attempt that a delivery was claimed for is still the one that runs. */
function isOurs(record: IdentityRecord, claimed: Delivery): boolean {
  const delivery = findDelivery(record, keyOf(claimed))
  return delivery?.state === 'running' && delivery.owner === claimed.owner
}
