import type { Callback } from '../../callback/conversion.js'
import { debug, shortId } from '../../debug.js'
import { ConversionWebhookError } from '../../errors.js'
import { claim, isSettled, jobOf, settle, withdrawOvertaken } from '../delivery.js'
import { identityOf } from '../identity.js'
import type { Accepted, Delivering, Inbox, InboxHost, Verdict } from '../inbox.js'
import { decide, previousOf } from '../ledger.js'
import {
  applyDecision,
  conflictOf,
  isUnsettled,
  keyOf,
  type DeliveryKey,
  type HeldCallback,
  type IdentityRecord,
} from '../records.js'
import { within } from '../../within.js'
import { Slots, type Release } from '../slots.js'

const maxIdentities = 10_000
const maxHeld = 1_000

/**
 * The inbox of a process that forgets: 10,000 identities (settled ones give way, oldest first) and the last 1,000 held callbacks.
 * Handlers run before the answer, so a failure is answered with 500 and tried again when the callback is repeated; there is no timer
 * and no other second try. For development, or for handlers that are idempotent themselves.
 */
export function memoryInbox(): Inbox<undefined> {
  return new MemoryInbox()
}

/** What an attempt came to; undefined where the delivery is settled. */
type Failure = Extract<Verdict, { state: 'waiting' }>

/** What is under way for one identity. */
interface Work {
  /** Attempts that were asked for and have no verdict yet: callbacks that arrive meanwhile join them. */
  readonly attempts: Map<DeliveryKey, Promise<Failure | undefined>>
  /** The last of them, which the next one waits for. */
  tail: Promise<unknown> | undefined
  /** Handlers that run, some of them past their time: a retry waits for its predecessor. */
  readonly running: Map<DeliveryKey, Delivering>
}

interface Identity {
  record: IdentityRecord
  /** Absent while nothing is under way. */
  work: Work | undefined
}

class MemoryInbox implements Inbox<undefined> {
  readonly isDurable = false
  readonly #identities = new Map<string, Identity>()
  /** The ids of those without an unsettled delivery or work; `#oldest` goes through them in the order in which they came to rest. */
  readonly #settled = new Set<string>()
  readonly #oldest = this.#settled.values()
  readonly #held = new Map<string, HeldCallback>()
  readonly #running = new Set<Delivering>()
  #host: InboxHost | undefined
  #slots = new Slots(1)
  #started: Promise<void> | undefined
  #closed: Promise<void> | undefined

  attach(host: InboxHost): void {
    if (this.#host !== undefined) {
      const message = 'This inbox belongs to another webhook: make one inbox for each, or mount the one webhook twice.'
      throw new ConversionWebhookError('ERR_CONVERSION_INBOX_ATTACHED', { message })
    }
    this.#host = host
    this.#slots = new Slots(host.concurrency)
    this.#started = new Promise((resolve) => {
      setImmediate(() => {
        this.#started = undefined
        resolve()
      })
    })
  }

  async accept(callback: Callback): Promise<Accepted> {
    const host = this.#requireHost()
    const id = identityOf(callback)
    const known = this.#identities.get(id)
    const decision = decide(known?.record, callback)
    const { outcome } = decision
    if (known === undefined) this.#makeRoom()
    const { record, keys: news } = applyDecision(id, known?.record, callback, decision)
    const identity: Identity = known ?? { record, work: undefined }
    if (known === undefined) this.#identities.set(id, identity)
    // A repeat asks for whatever is unsettled, even where it brings the goal as news.
    const isRepeat = known?.record.status === callback.status
    this.#change(identity, record)
    debug.inbox('%s %s %s', shortId(id), callback.status, outcome)
    if (outcome === 'conflict') {
      await this.hold(conflictOf(id, callback))
      return { outcome, id, recorded: previousOf(record) }
    }
    const keys = isRepeat ? record.deliveries.filter(isUnsettled).map(keyOf) : news
    if (outcome === 'stale' || keys.length === 0) return { outcome, id }

    if (this.#started !== undefined) await this.#started
    const results = await Promise.all(keys.map((key) => this.#join(identity, key, host)))
    const failures = results.filter((failure) => failure !== undefined)
    this.#change(
      identity,
      withdrawOvertaken(identity.record, (key) => identity.work?.attempts.has(attemptKey(key)) ?? false),
    )
    // What failed and was overtaken meanwhile needs no repeat.
    if (failures.length > 0 && !isSettled(identity.record)) throw failureError(failures)
    return { outcome: 'accepted', id }
  }

  hold(callback: HeldCallback): Promise<void> {
    this.#requireHost()
    this.#held.delete(callback.id)
    this.#held.set(callback.id, callback)
    for (const id of this.#held.keys()) {
      if (this.#held.size <= maxHeld) break
      this.#held.delete(id)
    }
    return Promise.resolve()
  }

  close(): Promise<void> {
    this.#closed ??= (async () => {
      if (this.#host === undefined) return
      const finished = Array.from(this.#running, (delivering) => delivering.finished)
      if (!(await within(this.#host.closeTimeoutMs, Promise.all(finished)))) {
        const reason = new ConversionWebhookError('ERR_CONVERSION_INBOX_CLOSED')
        for (const delivering of this.#running) delivering.abort(reason)
      }
      debug.inbox('closed, %d handlers left running', this.#running.size)
    })()
    return this.#closed
  }

  #requireHost(): InboxHost {
    if (this.#closed !== undefined) throw new ConversionWebhookError('ERR_CONVERSION_INBOX_CLOSED')
    if (this.#host === undefined)
      throw new ConversionWebhookError('ERR_CONVERSION_INBOX_INVALID', {
        message: 'The inbox belongs to no webhook yet.',
      })
    return this.#host
  }

  #makeRoom(): void {
    if (this.#identities.size < maxIdentities) return
    // The iterator goes on where it was, and what it passed is gone: while there are settled ones, they are ahead of it.
    const oldest = this.#settled.size > 0 ? this.#oldest.next().value : undefined
    if (oldest === undefined) throw new ConversionWebhookError('ERR_CONVERSION_INBOX_FULL')
    this.#settled.delete(oldest)
    this.#identities.delete(oldest)
  }

  #change(identity: Identity, record: IdentityRecord): void {
    identity.record = record
    if (identity.work === undefined && isSettled(record)) this.#settled.add(record.id)
    else this.#settled.delete(record.id)
  }

  /** The attempt that is under way for a delivery, or a new one behind the last of its identity. */
  #join(identity: Identity, key: DeliveryKey, host: InboxHost): Promise<Failure | undefined> {
    const work: Work = (identity.work ??= { attempts: new Map(), tail: undefined, running: new Map() })
    const id = attemptKey(key)
    const underWay = work.attempts.get(id)
    if (underWay !== undefined) return underWay
    const before = [work.tail, work.running.get(key)?.finished].filter((promise) => promise !== undefined)
    const turn = before.length > 0 ? Promise.all(before) : undefined
    const attempt = this.#attempt(identity, work, key, turn, host).finally(() => {
      work.attempts.delete(id)
      if (work.tail === attempt) work.tail = undefined
      this.#rest(identity, work)
    })
    work.attempts.set(id, attempt)
    work.tail = attempt
    return attempt
  }

  #rest(identity: Identity, { attempts, running }: Work): void {
    if (attempts.size > 0 || running.size > 0) return
    identity.work = undefined
    this.#change(identity, identity.record)
  }

  async #attempt(
    identity: Identity,
    work: Work,
    key: DeliveryKey,
    turn: Promise<unknown> | undefined,
    host: InboxHost,
  ): Promise<Failure | undefined> {
    const release = await this.#slotAfter(turn, host.handlerTimeoutMs)
    if (release === undefined) return { state: 'waiting', code: 'ERR_CONVERSION_HANDLER_LATE' }
    if (this.#closed !== undefined) {
      release()
      return { state: 'waiting', code: 'ERR_CONVERSION_INBOX_CLOSED' }
    }
    const { record, delivery } = claim(identity.record, key, (event) => host.hasHandler(event))
    this.#change(identity, record)
    if (delivery === undefined) {
      release()
      return undefined
    }
    const claimedKey = keyOf(delivery)
    const delivering = host.deliver(jobOf(record.id, delivery))
    work.running.set(claimedKey, delivering)
    this.#running.add(delivering)
    void delivering.finished.then(() => {
      release()
      this.#running.delete(delivering)
      work.running.delete(claimedKey)
      this.#rest(identity, work)
    })
    const verdict = await delivering.verdict
    this.#change(identity, settle(identity.record, claimedKey, verdict))
    return verdict.state === 'waiting' ? verdict : undefined
  }

  /** A slot once it is one's turn; undefined where that takes too long. */
  async #slotAfter(turn: Promise<unknown> | undefined, ms: number): Promise<Release | undefined> {
    const free = turn === undefined ? this.#slots.take() : undefined
    if (free !== undefined) return free
    const slot = Promise.resolve(turn).then(() => this.#slots.acquire())
    if (await within(ms, slot)) return slot
    void slot.then((release) => {
      release()
    })
    return undefined
  }
}

/** A fail that is claimed as the reversal keeps the attempt that was asked for. */
function attemptKey(key: DeliveryKey): DeliveryKey {
  return key === 'reversal' ? 'fail' : key
}

/** One error for all deliveries of a callback that failed: a failure counts more than a hold. */
function failureError(failures: readonly Failure[]): ConversionWebhookError {
  const causes = failures.map(({ error }) => error).filter((error) => error !== undefined)
  const first = failures.find(({ code }) => code !== 'ERR_CONVERSION_DELIVERY_HELD') ?? failures[0]
  const code = first?.code ?? 'ERR_CONVERSION_HANDLER_FAILED'
  const cause = causes.length > 1 ? new AggregateError(causes) : causes[0]
  return new ConversionWebhookError(code, cause === undefined ? {} : { cause })
}
