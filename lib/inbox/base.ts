import { ConversionWebhookError } from '../errors.js'
import { within } from '../within.js'
import type { Delivering, InboxHost, Operators } from './inbox.js'
import { createOperators } from './operators.js'
import { Slots } from './slots.js'
import type { Store } from './store.js'

/** What handlers have, once their signal has been aborted by the end of the inbox, to end in order. */
const graceMs = 500

/** What all inboxes have in common: one webhook, slots for deliveries, operators, and an end. */
export abstract class BaseInbox implements Operators {
  readonly list: Operators['list']
  readonly get: Operators['get']
  readonly replay: Operators['replay']
  readonly stats: Operators['stats']
  readonly prune: Operators['prune']
  readonly erase: Operators['erase']
  /** What runs; a handler past its time too. */
  protected readonly running = new Set<Delivering>()
  protected slots = new Slots(1)
  protected host: InboxHost | undefined
  #closed: Promise<void> | undefined

  constructor(store: Store) {
    const operators = createOperators(
      store,
      () => this.host,
      (identity) => {
        this.wake(identity)
      },
    )
    this.list = operators.list
    this.get = operators.get
    this.replay = operators.replay
    this.stats = operators.stats
    this.prune = operators.prune
    this.erase = operators.erase
  }

  attach(host: InboxHost): void {
    if (this.host !== undefined) {
      throw new ConversionWebhookError('ERR_CONVERSION_INBOX_ATTACHED')
    }
    this.host = host
    this.slots = new Slots(host.concurrency)
    this.start(host)
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    this.stop()
    const { host } = this
    if (host !== undefined && !(await within(host.closeTimeoutMs, this.slots.idle()))) {
      const reason = new ConversionWebhookError('ERR_CONVERSION_INBOX_CLOSED')
      for (const delivering of this.running) delivering.abort(reason)
      await within(graceMs, this.slots.idle())
    }
    await this.end()
  }

  protected get isClosed(): boolean {
    return this.#closed !== undefined
  }

  /** What was made when a webhook came: throws `ERR_CONVERSION_INBOX_INVALID` before, and `ERR_CONVERSION_INBOX_CLOSED` after the end. */
  protected requireAttached<T>(attached: T | undefined): T {
    if (this.#closed !== undefined) throw new ConversionWebhookError('ERR_CONVERSION_INBOX_CLOSED')
    if (attached === undefined) {
      throw new ConversionWebhookError('ERR_CONVERSION_INBOX_INVALID', { values: { why: 'unattached' } })
    }
    return attached
  }

  /** Starts one macrotask later, so that handlers may still be registered. */
  protected abstract start(host: InboxHost): void
  /** Something was marked that a process with handlers is to pick up. */
  protected abstract wake(identity?: string): void
  /** Claims nothing any more. */
  protected abstract stop(): void
  /** Lets go of everything; what runs on has been aborted. */
  protected abstract end(): Promise<void>
}
