import type { Callback } from '../callback/conversion.js'
import { debug, shortId } from '../debug.js'
import { ConversionWebhookError, isConversionWebhookError } from '../errors.js'
import { BaseInbox } from './base.js'
import { recordCallback, settleAttempt, takeOver, type Claim, type Claiming } from './changes.js'
import { commitOf } from './commit.js'
import { jobOf, type Claimer, type Patience } from './delivery.js'
import { identityOf } from './identity.js'
import type { Accepted, Inbox, InboxHost, Job, Verdict } from './inbox.js'
import { keptWith, type QuarantinedCallback } from './quarantine.js'
import type { Delivery, IdentityRecord } from './records.js'
import { rereadQuarantined } from './replay.js'
import type { Release } from './slots.js'
import type { Candidate, Change, Changed, DurableStore } from './store.js'

const beatMs = 5_000
const settleAgainMs = 1_000
const maxCandidates = 100

/** A change that may claim. */
interface SlotChange<T> {
  readonly identity: string
  readonly candidate?: string
  readonly apply: (record: IdentityRecord | undefined, slot: () => boolean) => Changed<T>
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
  /** Identities of which a delivery runs here. */
  readonly #active = new Set<string>()
  #isStarted = false
  #isFailing = false

  constructor(store: DurableStore<Tx>) {
    super(store)
    this.#store = store
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
    const { accepted, claim } = await this.#changeWithSlot(host, {
      identity: id,
      apply: (record, slot) => recordCallback(record, id, callback, this.#claiming(host, slot)),
    })
    debug.inbox('%s %s %s', shortId(id), callback.status, accepted.outcome)
    if (accepted.outcome === 'accepted' && claim === undefined) this.wake()
    return accepted
  }

  async quarantine(callback: QuarantinedCallback): Promise<void> {
    this.requireHost()
    const { id, kind } = callback
    await this.#store.change({
      quarantined: id,
      apply: ({ quarantined: kept }) => ({ quarantined: keptWith(kept, callback), counted: kind, result: undefined }),
    })
  }

  protected stop(): void {
    for (const timer of this.#timers) clearInterval(timer)
  }

  protected async end(): Promise<void> {
    await this.#look
    debug.inbox('closed, %d handlers left running', this.running.size)
    await this.#store.close()
  }

  /** Makes a change that may claim a delivery, and runs what it claimed. `slot` takes a slot, if there is a free one. */
  async #changeWithSlot<T extends { claim?: Claim }>(host: InboxHost, { apply, ...change }: SlotChange<T>): Promise<T> {
    let taken: Release | undefined
    const slot = (): boolean => (taken ??= this.slots.take()) !== undefined
    try {
      const result = await this.#store.change({ ...change, apply: ({ record }) => apply(record, slot) })
      const { claim } = result
      if (claim !== undefined && taken !== undefined) {
        void this.#run(claim, taken, host)
        taken = undefined
      }
      return result
    } finally {
      taken?.()
    }
  }

  /** How a change may claim by itself: where this process delivers, and the store needs no candidate for it. */
  #claiming(host: InboxHost, slot: () => boolean): Claiming | undefined {
    const { owner } = this.#store
    if (!this.#isStarted || this.isClosed || owner === undefined || !delivers(host)) return undefined
    return { ...this.#claimer(host, owner), mayRun: slot() }
  }

  #claimer(host: InboxHost, owner: string): Claimer {
    return { hasHandler: (event) => host.hasHandler(event), owner, now: this.#store.now() }
  }

  /** One attempt, to its end; then the next of the same identity, or a look around. Never rejects. */
  async #run({ identity, delivery }: Claim, slot: Release, host: InboxHost): Promise<void> {
    let isOver = false
    const commit = commitOf(this.#store, {
      identity,
      delivery,
      isOver: () => isOver,
      patience: () => this.#patience(host),
      insist: (change) => this.#insist(host, change),
      onDead: (error) => {
        host.onDead({ job: jobOf(identity, delivery), error })
      },
    })
    const job: Job = { ...jobOf(identity, delivery), commit }
    const delivering = host.deliver(job)
    this.running.add(delivering)
    this.#active.add(identity)
    const verdict = await delivering.verdict
    isOver = true
    await delivering.finished // its retry waits for it, and so does its slot
    this.running.delete(delivering)
    const next = await this.#settle(identity, delivery, verdict, job, host)
    this.#active.delete(identity)
    if (next !== undefined) {
      void this.#run(next, slot, host)
      return
    }
    slot()
    if (this.#mustLookAgain) this.wake()
  }

  /** Marks what an attempt came to, and claims the next delivery of the identity. */
  async #settle(
    identity: string,
    delivery: Delivery,
    verdict: Verdict,
    job: Job,
    host: InboxHost,
  ): Promise<Claim | undefined> {
    const settled = await this.#insist<{ claim?: Claim; isDead: boolean }>(host, {
      identity,
      apply: ({ record }) =>
        record === undefined
          ? { result: { isDead: false } }
          : settleAttempt(
              record,
              delivery,
              verdict,
              this.#patience(host),
              this.#claiming(host, () => true),
            ),
    })
    if (settled?.isDead) host.onDead({ job, error: 'error' in verdict ? verdict.error : undefined })
    return settled?.claim
  }

  /** Makes a change, as often as the storage needs; undefined where the inbox closes before it is made. */
  async #insist<T>(host: InboxHost, change: Change<T, Tx>): Promise<T | undefined> {
    for (;;) {
      try {
        return await this.#store.change(change)
      } catch (error) {
        debug.delivery('%s could not be settled', shortId(change.identity ?? ''))
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
      const candidates = await this.#store.candidates(limit)
      const taken = await Promise.all(candidates.map((candidate) => this.#take(candidate, host)))
      if (!taken.includes(true)) return
    }
  }

  /** Makes something of a candidate; false where another process was faster. */
  async #take(candidate: Candidate, host: InboxHost): Promise<boolean> {
    if ('quarantined' in candidate) return this.#reread(candidate.quarantined, host)
    const { identity, owner, isLapsed } = candidate
    const { dead, isChanged } = await this.#changeWithSlot<{
      claim?: Claim
      dead: readonly Delivery[]
      isChanged: boolean
    }>(host, {
      identity,
      candidate: owner,
      apply: (record, slot) => {
        if (record === undefined) return { result: { dead: [], isChanged: false } }
        const claiming = { ...this.#claimer(host, owner), mayRun: !this.isClosed && slot() }
        return takeOver(record, isLapsed, this.#patience(host), claiming)
      },
    })
    for (const delivery of dead) {
      const error = new ConversionWebhookError('ERR_CONVERSION_ATTEMPT_LAPSED')
      host.onDead({ job: jobOf(identity, delivery), error })
    }
    return isChanged
  }

  async #reread(id: string, host: InboxHost): Promise<boolean> {
    const quarantined = await this.#store.quarantined(id)
    if (quarantined?.kind !== 'refused') return false
    const isRecorded = (await rereadQuarantined(this.#store, quarantined, host)) !== undefined
    debug.inbox('%s read again, %s', shortId(id), isRecorded ? 'recorded' : 'refused')
    if (isRecorded) this.#mustLookAgain = true
    return isRecorded
  }

  /** Says that this process lives; before the first time it claims nothing, since others would take it for gone. */
  async #beat(host: InboxHost): Promise<void> {
    if (!delivers(host)) return
    try {
      await this.#store.beat()
      const { owner } = this.#store
      for (const identity of await this.#store.leftBehind(this.#active)) {
        if (owner !== undefined) await this.#take({ identity, owner, isLapsed: (other) => other === owner }, host)
      }
    } catch (error) {
      this.#failed(error, host)
      return
    }
    if (this.#isStarted) return
    this.#isStarted = true
    this.wake()
  }

  #patience({ maxAttempts, maxHoldMs }: InboxHost): Patience {
    return { now: this.#store.now(), random: Math.random(), maxAttempts, maxHoldMs }
  }

  /** A failure of the storage that nobody asked for. */
  report(error: unknown): void {
    if (this.host !== undefined) this.#failed(error, this.host)
  }

  /** A storage that is down is told once, until it works again. */
  #failed(error: unknown, host: InboxHost): void {
    if (this.#isFailing || this.isClosed) return
    this.#isFailing = true
    host.onError(isConversionWebhookError(error) && error.cause !== undefined ? error.cause : error)
  }
}

/** Without any handler a process only receives. */
function delivers(host: InboxHost): boolean {
  return (['pending', 'success', 'goalComplete', 'fail'] as const).some((event) => host.hasHandler(event))
}
