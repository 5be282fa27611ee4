import { ConversionWebhookError } from '../errors.js'
import { settlesWithin } from '../util/settles-within.js'
import type { Delivering, InboxHost } from './inbox.js'
import { createOperators } from './operators/create-operators.js'
import type { Operators } from './operators.js'
import { Slots } from './slots.js'
import type { Store } from './store.js'

/** Milliseconds for handlers to end after `close()` has aborted their signals. */
const graceMs = 500

/** The part that all inboxes share: one webhook, slots for deliveries, operators, and closing. */
export abstract class AttachedInbox implements Operators {
  readonly list: Operators['list']
  readonly get: Operators['get']
  readonly replay: Operators['replay']
  readonly stats: Operators['stats']
  readonly prune: Operators['prune']
  readonly erase: Operators['erase']
  /** Attempts whose handlers run, in time or late, but not stuck. */
  protected readonly running = new Set<Delivering>()
  protected slots = new Slots(1)
  #host: InboxHost | undefined
  #closed: Promise<void> | undefined

  constructor(store: Store) {
    const operators = createOperators(store, () => this.#host, this.wake.bind(this))
    this.list = operators.list
    this.get = operators.get
    this.replay = operators.replay
    this.stats = operators.stats
    this.prune = operators.prune
    this.erase = operators.erase
  }

  attach(host: InboxHost): void {
    if (this.#host !== undefined) {
      throw new ConversionWebhookError('ERR_CONVERSION_INBOX_ATTACHED')
    }
    this.#host = host
    this.slots = new Slots(host.concurrency)
    this.start()
  }

  close(): Promise<void> {
    return (this.#closed ??= this.#close())
  }

  async #close(): Promise<void> {
    this.stop()
    const host = this.#host
    if (host !== undefined && !(await settlesWithin(host.closeTimeoutMs, this.slots.idle()))) {
      const reason = new ConversionWebhookError('ERR_CONVERSION_INBOX_CLOSED')
      for (const delivering of this.running) delivering.abort(reason)
      await settlesWithin(graceMs, this.slots.idle())
    }
    await this.end()
  }

  protected get isClosed(): boolean {
    return this.#closed !== undefined
  }

  protected get isAttached(): boolean {
    return this.#host !== undefined
  }

  /** The webhook. Throws `ERR_CONVERSION_INBOX_INVALID` before `attach`. */
  protected get host(): InboxHost {
    if (this.#host !== undefined) return this.#host
    throw new ConversionWebhookError('ERR_CONVERSION_INBOX_INVALID', { values: { why: 'unattached' } })
  }

  /** Throws `ERR_CONVERSION_INBOX_CLOSED` after `close`, and `ERR_CONVERSION_INBOX_INVALID` before `attach`. */
  protected requireOpen(): InboxHost {
    if (this.#closed !== undefined) throw new ConversionWebhookError('ERR_CONVERSION_INBOX_CLOSED')
    return this.host
  }

  /** Starts delivering one macrotask later, so that the app can still register handlers. */
  protected abstract start(): void
  /** Called after a replay has marked something for delivery. */
  protected abstract wake(identity?: string): void
  /** Claims no more deliveries. */
  protected abstract stop(): void
  /** Closes the storage; handlers that still run have been aborted. */
  protected abstract end(): Promise<void>
}
