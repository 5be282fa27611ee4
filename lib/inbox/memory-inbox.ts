import type { Callback } from '../callback/conversion.js'
import { debug, shortId } from '../debug.js'
import { ConversionWebhookError } from '../errors.js'
import { settlesWithin } from '../util/settles-within.js'
import { AttachedInbox } from './attached-inbox.js'
import { attemptOf, claim, isSettled, jobOf, settle, withdrawOvertaken } from './delivery.js'
import { type Lost, recordIn } from './transitions.js'
import type { Accepted, Delivering, Inbox, Verdict } from './inbox.js'
import { memoryBudget, type QuarantinedCallback } from './quarantine.js'
import { findDelivery, isUnsettled, keyOf, ordersOf, type Delivery, type DeliveryKey } from './records.js'
import { rereadQuarantined } from './operators/replay.js'
import { reserving, giveUpOn, isLate, reportLostOrder } from './running-attempt.js'
import type { Slot } from './slots.js'
import { detached, MemoryClaims, memoryRoom, type MemoryClaim } from './stores/memory-claims.js'
import { MemoryStore } from './stores/memory-store.js'
import { identityOf, peopleOf } from './claims.js'
import { holdersBy } from './reservation.js'

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

/** The verdict on an attempt that did not settle its delivery. */
type Failure = Extract<Verdict, { state: 'waiting' }>

/** The attempts under way for one claim. */
interface Work {
  /** Attempts without a verdict: a callback that needs the same delivery meanwhile waits for the same attempt. */
  readonly attempts: Map<DeliveryKey, Promise<Failure | undefined>>
  /** The last of `attempts`, which the next one waits for. */
  tail: Promise<unknown> | undefined
  /** Handlers that run, in time or late: the claim's other deliveries wait for them. */
  readonly running: Map<DeliveryKey, Delivering>
}

function newWork(): Work {
  return { attempts: new Map(), tail: undefined, running: new Map() }
}

class MemoryInbox extends AttachedInbox implements Inbox<undefined> {
  readonly isDurable = false
  readonly #identities: MemoryClaims<Work>
  readonly #store: MemoryStore
  #started: Promise<void> | undefined

  constructor(identities: MemoryClaims<Work>, store: MemoryStore) {
    super(store)
    this.#identities = identities
    this.#store = store
  }

  protected start(): void {
    this.#started = new Promise((resolve) => {
      setImmediate(() => {
        this.#started = undefined
        resolve()
      })
    })
  }

  async accept(received: Callback): Promise<Accepted> {
    this.requireOpen()
    const callback = detached(received)
    const identity = identityOf(callback)
    const claims = this.#identities.claimsFor(identity, peopleOf(callback))
    const holder = this.#identities.holder(identity)
    const recording = recordIn(claims, holder?.claim, identity, callback)
    const { outcome } = recording
    if (recording.outcome === 'conflict') {
      const { conflict, contradiction } = recording
      this.#store.keep(conflict)
      this.#store.count(outcome)
      return { outcome, id: conflict.id, contradiction }
    }
    const { record, before, keys: news } = recording
    const { id } = record
    // A repeat asks for every unsettled delivery, also if it reports the goal for the first time.
    const isRepeat = before?.status === callback.status
    const keys = outcome === 'stale' ? [] : isRepeat ? record.deliveries.filter(isUnsettled).map(keyOf) : news
    const claim = this.#identities.put(record, keys.length > 0 ? newWork() : undefined)
    this.#store.count(outcome)
    debug.inbox('%s %s %s', shortId(id), callback.status, outcome)
    if (keys.length === 0) return { outcome, id }

    const failures = await this.#runAll(claim, keys)
    // A delivery that failed and was overtaken meanwhile is withdrawn, so the sender need not repeat the callback.
    if (failures.length > 0 && !isSettled(claim.record)) throw failureError(failures)
    return { outcome: 'accepted', id }
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
    const identity = id === undefined ? undefined : this.#identities.find(id)
    const work = identity
      ? this.#runAll(identity, identity.record.deliveries.filter(isUnsettled).map(keyOf))
      : this.#rereadAll()
    work.catch((error: unknown) => {
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

  /** Attempts several deliveries of a claim, and resolves with the failures. */
  async #runAll(identity: MemoryClaim<Work>, keys: readonly DeliveryKey[]): Promise<readonly Failure[]> {
    const results = await Promise.all(keys.map((key) => this.#join(identity, key)))
    this.#withdrawOvertaken(identity)
    return results.filter((failure) => failure !== undefined)
  }

  #withdrawOvertaken(identity: MemoryClaim<Work>): void {
    this.#identities.change(
      identity,
      withdrawOvertaken(identity.record, Date.now(), (key) => identity.work?.attempts.has(attemptKey(key)) ?? false),
    )
  }

  /** The attempt that is under way for a delivery, or a new one behind the last of its claim. */
  #join(identity: MemoryClaim<Work>, key: DeliveryKey): Promise<Failure | undefined> {
    const work = identity.work ?? newWork()
    if (identity.work === undefined) this.#identities.setWork(identity, work)
    const id = attemptKey(key)
    const underWay = work.attempts.get(id)
    if (underWay !== undefined) return underWay
    const turn = work.tail !== undefined || work.running.size > 0 ? turnOf(work) : this.#started
    const attempt = this.#attempt(identity, work, key, turn).finally(() => {
      work.attempts.delete(id)
      if (work.tail === attempt) work.tail = undefined
      this.#endWorkIfIdle(identity, work)
    })
    work.attempts.set(id, attempt)
    work.tail = attempt
    return attempt
  }

  #endWorkIfIdle(identity: MemoryClaim<Work>, { attempts, running }: Work): void {
    if (attempts.size > 0 || running.size > 0) return
    this.#identities.setWork(identity, undefined)
  }

  async #attempt(
    identity: MemoryClaim<Work>,
    work: Work,
    key: DeliveryKey,
    turn: Promise<unknown> | undefined,
  ): Promise<Failure | undefined> {
    const { host } = this
    const slot = await this.#slotAfter(turn)
    if (slot === undefined) return { state: 'waiting', code: 'ERR_CONVERSION_HANDLER_LATE' }
    if (this.isClosed) {
      slot.release()
      return { state: 'waiting', code: 'ERR_CONVERSION_INBOX_CLOSED' }
    }
    const { delivery, lost } = this.#claim(identity, key)
    this.#tell(lost)
    if (delivery === undefined) {
      slot.release()
      return undefined
    }
    let late: Verdict | undefined
    const claimedKey = keyOf(delivery)
    const { id: claim } = identity.record
    const job = jobOf(claim, delivery)
    const { reserve } = reserving(this.#store, attemptOf(claim, delivery), () => late !== undefined)
    const delivering = host.deliver({ ...job, reserve })
    work.running.set(claimedKey, delivering)
    this.running.add(delivering)
    void delivering.finished.then(() => {
      if (late) {
        this.#settle(identity, claimedKey, late)
        this.#withdrawOvertaken(identity)
      }
      slot.release()
      this.running.delete(delivering)
      work.running.delete(claimedKey)
      this.#endWorkIfIdle(identity, work)
    })
    const verdict = await delivering.verdict
    if (isLate(verdict) && work.running.get(claimedKey) === delivering) {
      late = verdict
      void giveUpOn({ job, delivering, slot }, { host, slots: this.slots, running: this.running })
    } else {
      this.#settle(identity, claimedKey, verdict)
    }
    return verdict.state === 'waiting' ? verdict : undefined
  }

  #settle(identity: MemoryClaim<Work>, key: DeliveryKey, verdict: Verdict): void {
    this.#identities.change(identity, settle(identity.record, key, verdict, { now: Date.now(), ...noRetries }))
    const settled = findDelivery(identity.record, key)
    if (settled?.takenBy !== undefined) this.#tell({ claim: identity.record.id, deliveries: [settled] })
  }

  /** Claims a delivery; without one in the result there is nothing to run. */
  #claim(identity: MemoryClaim<Work>, key: DeliveryKey): { delivery?: Delivery; lost: Lost } {
    const { record: found } = identity
    const holders = holdersBy(ordersOf(found), (order) => this.#identities.holder(order))
    const { handlers, hasConfirm } = this.host
    const claimed = claim(found, key, { handlers, hasConfirm, owner: 'memory', now: Date.now(), holders })
    const { record, delivery, refused, reserved } = claimed
    this.#identities.change(identity, record)
    this.#identities.reserve(record.id, reserved)
    return { ...(delivery && { delivery }), lost: { claim: record.id, deliveries: refused } }
  }

  #tell(lost: Lost): void {
    reportLostOrder(this.#store, lost, this.host).catch((error: unknown) => {
      this.host.onError(error)
    })
  }

  /** Waits for `turn`, then for a slot; undefined if that takes longer than `handlerTimeoutMs`. */
  async #slotAfter(turn: Promise<unknown> | undefined): Promise<Slot | undefined> {
    const free = turn === undefined ? this.slots.take() : undefined
    if (free !== undefined) return free
    const leaving = new AbortController()
    const slot = Promise.resolve(turn).then(() => this.slots.acquire(leaving.signal))
    if (await settlesWithin(this.host.handlerTimeoutMs, slot)) return slot
    leaving.abort()
    void slot.then((given) => given?.release())
    return undefined
  }
}

/** Resolves when all earlier attempts of the claim have verdicts and their handlers have ended. */
async function turnOf({ tail, running }: Work): Promise<void> {
  await tail
  await Promise.all([...running.values()].map(({ finished }) => finished))
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
