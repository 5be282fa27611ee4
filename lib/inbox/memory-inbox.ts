import type { Callback } from '../callback/conversion.js'
import { debug, shortId } from '../debug.js'
import { ConversionWebhookError } from '../errors.js'
import { isThenable } from '../util/kind-of.js'
import { settlesWithin } from '../util/settles-within.js'
import { AttachedInbox } from './attached-inbox.js'
import { attemptOf, claim, isSettled, jobOf, settle, withdrawOvertaken } from './delivery.js'
import { type Lost, recordIn } from './transitions.js'
import type { Accepted, Attempt, Inbox, Verdict } from './inbox.js'
import { memoryBudget, type QuarantinedCallback } from './quarantine.js'
import { findDelivery, isUnsettled, keyOf, type DeliveryKey } from './records.js'
import { rereadQuarantined } from './operators/replay.js'
import { reserving, giveUpOn, isLate, reportLostOrder } from './running-attempt.js'
import { Work, type Failure, type Result } from './memory-work.js'
import type { Slot } from './slots.js'
import { MemoryClaims, memoryRoom, type MemoryClaim } from './stores/memory-claims.js'
import { MemoryStore } from './stores/memory-store.js'
import { identityOf, peopleOf } from './claims.js'

/**
 * An inbox in the memory of one process, lost when the process ends. Holds 10,000 conversions and 64 MiB, and 1,000 refused callbacks and
 * 1,000 conflicts, 8 MiB of each. When it is full, it drops settled conversions, then those that wait for a repeat, the oldest first.
 * Handlers run before the answer. A failed delivery is answered with 500 and retried only when the callback is repeated: there are no
 * timers. For development, or for handlers that are idempotent themselves.
 */
export function memoryInbox(): Inbox<undefined> {
  return openMemory()
}

/** A memory inbox with other limits, for tests. @internal */
export function openMemory(room = memoryRoom, budget = memoryBudget): Inbox<undefined> {
  const identities = new MemoryClaims<Work>(room)
  return new MemoryInbox(identities, new MemoryStore(identities, budget))
}

class MemoryInbox extends AttachedInbox implements Inbox<undefined> {
  readonly isDurable = false
  readonly #claims: MemoryClaims<Work>
  readonly #store: MemoryStore
  readonly #holders = { get: (order: string) => this.#claims.holder(order) }
  #started: Promise<void> | undefined

  constructor(claims: MemoryClaims<Work>, store: MemoryStore) {
    super(store)
    this.#claims = claims
    this.#store = store
  }

  protected start(): void {
    this.#started = new Promise(setImmediate).then(() => {
      this.#started = undefined
    })
  }

  async accept(callback: Callback): Promise<Accepted> {
    this.requireOpen()
    const { accepted, running } = this.#take(callback)
    if (running === undefined) return accepted

    const { claim } = running
    const failures = isThenable(running.failures) ? await running.failures : running.failures
    // A delivery that failed and was overtaken meanwhile is withdrawn, so the sender need not repeat the callback.
    if (failures.length > 0 && !isSettled(claim.record)) throw failureError(failures)
    return accepted
  }

  /** Records a callback, and starts what can be delivered now. */
  #take(callback: Callback): { accepted: Accepted; running?: Running } {
    const identity = identityOf(callback)
    const claims = this.#claims.claimsFor(identity, () => peopleOf(callback))
    const holder = this.#claims.holder(identity)
    const recording = recordIn(claims, holder?.claim, identity, callback)
    const { outcome } = recording
    if (recording.outcome === 'conflict') {
      const { conflict, contradiction } = recording
      this.#store.keep(conflict)
      this.#store.count(outcome)
      return { accepted: { outcome, id: conflict.id, contradiction } }
    }
    const { record, before, keys: news } = recording
    const { id } = record
    // A repeat asks for every unsettled delivery, also if it reports the goal for the first time.
    const isRepeat = before?.status === callback.status
    const keys = outcome === 'stale' ? [] : isRepeat ? record.deliveries.filter(isUnsettled).map(keyOf) : news
    const claim = this.#claims.put(record, keys.length > 0 ? new Work() : undefined)
    this.#store.count(outcome)
    debug.inbox('%s %s %s', shortId(id), callback.status, outcome)
    if (keys.length === 0) return { accepted: { outcome, id } }
    return { accepted: { outcome: 'accepted', id }, running: { claim, failures: this.#runAll(claim, keys) } }
  }

  quarantine(callback: QuarantinedCallback): Promise<void> {
    this.requireOpen()
    this.#store.keep(callback)
    this.#store.count(callback.kind)
    return Promise.resolve()
  }

  /** Runs what a replay marked, in the background. A delivery that fails waits for the next replay or repeat. */
  protected wake(id?: string): void {
    if (!this.isAttached || this.isClosed) return
    const claim = id === undefined ? undefined : this.#claims.find(id)
    const run = async (): Promise<unknown> =>
      claim ? this.#runAll(claim, claim.record.deliveries.filter(isUnsettled).map(keyOf)) : this.#rereadAll()
    run().catch((error: unknown) => {
      this.host.onError(error)
    })
  }

  async #rereadAll(): Promise<void> {
    const { rows: limit } = this.#store.quarantineBudget
    for (const quarantined of await this.#store.quarantine({ state: 'waiting', limit })) {
      if (quarantined.kind !== 'refused') continue
      const id = await rereadQuarantined(this.#store, quarantined, this.host)
      if (id !== undefined) this.wake(id)
    }
  }

  protected stop(): void {
    debug.inbox('closing, %d handlers run', this.running.size)
  }

  protected end(): Promise<void> {
    debug.inbox('closed, %d handlers left running', this.running.size + this.slots.stuck)
    return Promise.resolve()
  }

  /** Attempts several deliveries of a claim, and gives the failures. No promise if nothing waits. */
  #runAll(claim: MemoryClaim<Work>, keys: readonly DeliveryKey[]): readonly Failure[] | Promise<readonly Failure[]> {
    const results = keys.map((key) => this.#join(claim, key))
    const end = (ended: readonly Result[]): readonly Failure[] => {
      this.#withdrawOvertaken(claim)
      this.#endWorkIfIdle(claim)
      return ended.filter((failure) => failure !== undefined)
    }
    if (results.every((result): result is Result => !isThenable(result))) return end(results)
    return Promise.all(results.map(async (result) => result)).then(end)
  }

  #withdrawOvertaken(claim: MemoryClaim<Work>): void {
    const isQueued = (key: DeliveryKey): boolean =>
      claim.work?.attempts.some((each) => each.key === attemptKey(key)) ?? false
    this.#claims.change(claim, withdrawOvertaken(claim.record, Date.now(), isQueued))
  }

  /** The attempt that is under way for a delivery, or a new one behind the last of its claim. */
  #join(claim: MemoryClaim<Work>, key: DeliveryKey): Result | Promise<Result> {
    const work = claim.work ?? new Work()
    if (claim.work === undefined) this.#claims.setWork(claim, work)
    const id = attemptKey(key)
    const underWay = work.attempts.find((each) => each.key === id)
    if (underWay !== undefined) return underWay.ended
    const slot = work.isIdle && this.#started === undefined ? this.slots.take() : undefined
    const attempt = slot ? this.#attempt(claim, work, key, slot) : this.#attemptInTurn(claim, work, key)
    if (!isThenable(attempt)) return attempt
    const ended = attempt.finally(() => {
      work.attempts = work.attempts.filter((each) => each.ended !== ended)
      this.#endWorkIfIdle(claim)
    })
    // A handler may have sent callbacks of this claim before it returned: they wait for it.
    work.attempts = slot ? [{ key: id, ended }, ...work.attempts] : [...work.attempts, { key: id, ended }]
    return ended
  }

  #endWorkIfIdle(claim: MemoryClaim<Work>): void {
    if (claim.work?.isIdle === true) this.#claims.setWork(claim, undefined)
  }

  /** Attempts a delivery behind the others of its claim, when there is a slot. Fails if that takes longer than `handlerTimeoutMs`. */
  async #attemptInTurn(claim: MemoryClaim<Work>, work: Work, key: DeliveryKey): Promise<Result> {
    const leaving = new AbortController()
    const turn = work.isIdle ? this.#started : work.turn()
    const slot = Promise.resolve(turn).then(() => this.slots.acquire(leaving.signal))
    if (!(await settlesWithin(this.host.handlerTimeoutMs, slot))) {
      leaving.abort()
      void slot.then((given) => given?.release())
      return { state: 'waiting', code: 'ERR_CONVERSION_HANDLER_LATE' }
    }
    const taken = await slot
    return taken && this.#attempt(claim, work, key, taken)
  }

  #attempt(claim: MemoryClaim<Work>, work: Work, key: DeliveryKey, slot: Slot): Result | Promise<Result> {
    if (this.isClosed) {
      slot.release()
      return { state: 'waiting', code: 'ERR_CONVERSION_INBOX_CLOSED' }
    }
    const { delivery, lost } = this.#claim(claim, key)
    this.#tell(lost)
    if (delivery === undefined) {
      slot.release()
      return undefined
    }
    let late: Verdict | undefined
    const { id } = claim.record
    const claimed = keyOf(delivery)
    const job = jobOf(id, delivery)
    const reserve: Attempt['reserve'] = (order) =>
      reserving(this.#store, attemptOf(id, delivery), () => late !== undefined).reserve(order)
    work.isCalling = true
    const delivering = this.host.deliver({ ...job, reserve })
    work.isCalling = false
    if ('state' in delivering) {
      this.#settle(claim, claimed, delivering)
      slot.release()
      return failureIn(delivering)
    }
    work.running = [...work.running, delivering]
    this.running.add(delivering)
    void delivering.finished.then(() => {
      if (late) {
        this.#settle(claim, claimed, late)
        this.#withdrawOvertaken(claim)
      }
      slot.release()
      this.running.delete(delivering)
      work.running = work.running.filter((each) => each !== delivering)
      this.#endWorkIfIdle(claim)
    })
    return delivering.verdict.then((verdict) => {
      if (isLate(verdict) && work.running.includes(delivering)) {
        late = verdict
        void giveUpOn({ job, delivering, slot, host: this.host, slots: this.slots, running: this.running })
      } else {
        this.#settle(claim, claimed, verdict)
      }
      return failureIn(verdict)
    })
  }

  #settle(claim: MemoryClaim<Work>, key: DeliveryKey, verdict: Verdict): void {
    this.#claims.change(claim, settle(claim.record, key, verdict, { now: Date.now(), ...noRetries }))
    const settled = findDelivery(claim.record, key)
    if (settled?.takenBy !== undefined) this.#tell({ claim: claim.record.id, deliveries: [settled] })
  }

  /** Claims a delivery; without one in the result there is nothing to run. */
  #claim(known: MemoryClaim<Work>, key: DeliveryKey) {
    const { handlers, hasConfirm } = this.host
    const claimer = { handlers, hasConfirm, owner: 'memory', now: Date.now(), holders: this.#holders }
    const { record, delivery, refused, reserved } = claim(known.record, key, claimer)
    this.#claims.change(known, record)
    this.#claims.reserve(record.id, reserved)
    const lost = refused.length > 0 ? { claim: record.id, deliveries: refused } : undefined
    return { delivery, lost }
  }

  #tell(lost: Lost | undefined): void {
    if (lost === undefined) return
    reportLostOrder(this.#store, lost, this.host).catch((error: unknown) => {
      this.host.onError(error)
    })
  }
}

/** The deliveries that one callback started. */
interface Running {
  readonly claim: MemoryClaim<Work>
  readonly failures: readonly Failure[] | Promise<readonly Failure[]>
}

function failureIn(verdict: Verdict): Result {
  return verdict.state === 'waiting' ? verdict : undefined
}

/** This inbox has no retries of its own, so no delivery becomes dead. */
const noRetries = { random: 0, maxAttempts: Infinity, maxHoldMs: Infinity }

/** The key of an attempt: `fail` also for a reversal, since a fail may become one when it is claimed. */
function attemptKey(key: DeliveryKey): DeliveryKey {
  return key === 'reversal' ? 'fail' : key
}

/** One error for all failed deliveries of a callback, with the code of a hold only if all of them were held. */
function failureError(failures: readonly Failure[]): ConversionWebhookError {
  const causes = failures.map(({ error }) => error).filter((error) => error !== undefined)
  const first = failures.find(({ code }) => code !== 'ERR_CONVERSION_DELIVERY_HELD') ?? failures[0]
  const code = first?.code ?? 'ERR_CONVERSION_HANDLER_FAILED'
  const cause = causes.length > 1 ? new AggregateError(causes) : causes[0]
  return new ConversionWebhookError(code, cause === undefined ? {} : { cause })
}
