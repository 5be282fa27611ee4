import { setMaxListeners } from 'node:events'
import type { Callback } from '../../callback/conversion.js'
import { debug, shortId } from '../../debug.js'
import { ConversionWebhookError } from '../../errors.js'
import { claim, isSettled, settle, withdrawOvertaken } from '../delivery.js'
import { identityOf } from '../identity.js'
import type { Accepted, Inbox, InboxHost, Verdict } from '../inbox.js'
import { decide, previousOf } from '../ledger.js'
import {
  applyDecision,
  conflictOf,
  deliveryId,
  isUnsettled,
  keyOf,
  type Delivery,
  type DeliveryKey,
  type HeldCallback,
  type IdentityRecord,
} from '../records.js'
import { within } from '../../within.js'
import { Slots } from '../slots.js'

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

class MemoryInbox implements Inbox<undefined> {
  readonly isDurable = false
  readonly #records = new Map<string, IdentityRecord>()
  readonly #held = new Map<string, HeldCallback>()
  /** Attempts that were asked for and have no verdict yet, by `attemptId`: callbacks that arrive meanwhile join them. */
  readonly #attempts = new Map<string, Promise<Failure | undefined>>()
  /** The last attempt of each identity, which the next one waits for. */
  readonly #tails = new Map<string, Promise<unknown>>()
  /** Handlers that run, some of them past their time, by delivery id: a retry waits for its predecessor. */
  readonly #running = new Map<string, Promise<void>>()
  readonly #closing = new AbortController()
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
    setMaxListeners(0, this.#closing.signal) // every running handler listens, and that is no leak
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
    const recorded = this.#records.get(id)
    const decision = decide(recorded, callback)
    const { outcome } = decision
    if (recorded === undefined) this.#makeRoom()
    const applied = applyDecision(id, recorded, callback, decision)
    this.#records.set(id, applied.record)
    debug.inbox('%s %s %s', shortId(id), callback.status, outcome)
    if (outcome === 'conflict') {
      await this.hold(conflictOf(id, callback))
      return { outcome, id, recorded: previousOf(applied.record) }
    }
    if (outcome === 'stale') return { outcome, id }

    // A repeat asks for whatever is unsettled, even where it brings the goal as news.
    const isRepeat = recorded?.status === callback.status
    const keys = isRepeat ? applied.record.deliveries.filter(isUnsettled).map(keyOf) : applied.keys
    if (keys.length === 0) return { outcome, id }
    if (this.#started !== undefined) await this.#started
    const results = await Promise.all(keys.map((key) => this.#join(id, key, host)))
    const failures = results.filter((failure) => failure !== undefined)
    this.#change(id, (record) => withdrawOvertaken(record, (key) => this.#attempts.has(attemptId(id, key))))
    const record = this.#records.get(id)
    // What failed and was overtaken meanwhile needs no repeat.
    if (failures.length > 0 && record && !isSettled(record)) throw failureError(failures)
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
      const isDone = await within(this.#host.closeTimeoutMs, Promise.all(this.#running.values()))
      if (!isDone) this.#closing.abort(new ConversionWebhookError('ERR_CONVERSION_INBOX_CLOSED'))
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
    if (this.#records.size < maxIdentities) return
    for (const [id, record] of this.#records) {
      if (!isSettled(record)) continue
      this.#records.delete(id)
      return
    }
    throw new ConversionWebhookError('ERR_CONVERSION_INBOX_FULL')
  }

  #change(id: string, change: (record: IdentityRecord) => IdentityRecord): void {
    const record = this.#records.get(id)
    if (record !== undefined) this.#records.set(id, change(record))
  }

  /** The attempt that is under way for a delivery, or a new one behind the last of its identity. */
  #join(identity: string, key: DeliveryKey, host: InboxHost): Promise<Failure | undefined> {
    const id = attemptId(identity, key)
    const underWay = this.#attempts.get(id)
    if (underWay !== undefined) return underWay
    const tail = this.#tails.get(identity)
    const predecessor = this.#running.get(deliveryId(identity, key))
    const attempt = this.#attempt(identity, key, Promise.all([tail, predecessor]), host)
    this.#attempts.set(id, attempt)
    this.#tails.set(identity, attempt)
    void attempt.then(() => {
      this.#attempts.delete(id)
      if (this.#tails.get(identity) === attempt) this.#tails.delete(identity)
    })
    return attempt
  }

  async #attempt(
    identity: string,
    key: DeliveryKey,
    turn: Promise<unknown>,
    host: InboxHost,
  ): Promise<Failure | undefined> {
    const slot = turn.then(() => this.#slots.acquire())
    if (!(await within(host.handlerTimeoutMs, slot))) {
      void slot.then((release) => {
        release()
      })
      return { state: 'waiting', code: 'ERR_CONVERSION_HANDLER_LATE' }
    }
    const release = await slot
    if (this.#closed !== undefined) {
      release()
      return { state: 'waiting', code: 'ERR_CONVERSION_INBOX_CLOSED' }
    }
    const delivery = this.#claim(identity, key, host)
    if (delivery === undefined) {
      release()
      return undefined
    }
    const verdict = await this.#run(identity, delivery, host, release)
    this.#change(identity, (record) => settle(record, keyOf(delivery), verdict))
    return verdict.state === 'waiting' ? verdict : undefined
  }

  #claim(identity: string, key: DeliveryKey, host: InboxHost): Delivery | undefined {
    let claimed: Delivery | undefined
    this.#change(identity, (record) => {
      const { record: changed, delivery } = claim(record, key, (event) => host.hasHandler(event))
      claimed = delivery
      return changed
    })
    return claimed
  }

  #run(identity: string, delivery: Delivery, host: InboxHost, release: () => void): Promise<Verdict> {
    const { event, attempts, callback, previous } = delivery
    const id = deliveryId(identity, keyOf(delivery))
    const closing = this.#closing.signal
    const { verdict, finished } = host.deliver({
      event,
      id,
      attempt: attempts,
      callback,
      closing,
      ...(previous && { previous }),
    })
    this.#running.set(id, finished)
    void finished.then(() => {
      release()
      this.#running.delete(id)
    })
    return verdict
  }
}

/** A fail that is claimed as the reversal keeps the attempt that was asked for. */
function attemptId(identity: string, key: DeliveryKey): string {
  return deliveryId(identity, key === 'reversal' ? 'fail' : key)
}

/** One error for all deliveries of a callback that failed: a failure counts more than a hold. */
function failureError(failures: readonly Failure[]): ConversionWebhookError {
  const causes = failures.map(({ error }) => error).filter((error) => error !== undefined)
  const first = failures.find(({ code }) => code !== 'ERR_CONVERSION_DELIVERY_HELD') ?? failures[0]
  const code = first?.code ?? 'ERR_CONVERSION_HANDLER_FAILED'
  const cause = causes.length > 1 ? new AggregateError(causes) : causes[0]
  return new ConversionWebhookError(code, cause === undefined ? {} : { cause })
}
