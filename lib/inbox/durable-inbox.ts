import type { Callback } from '../callback/conversion.js'
import { debug, shortId } from '../debug.js'
import { settlesWithin } from '../util/settles-within.js'
import { AttachedInbox } from './attached-inbox.js'
import { recordCallback } from './transitions.js'
import { Deliverer } from './deliverer.js'
import type { Accepted, Inbox } from './inbox.js'
import { keptWith, type QuarantinedCallback } from './quarantine.js'
import type { DurableStore } from './store.js'
import { identityOf, peopleOf } from './claims.js'

/** Milliseconds that `close` waits for a look that is under way: the storage may never answer. */
const idleWithinMs = 700

/** The inbox over a store that outlives the process: records before the answer, and delivers in the background. */
export class DurableInbox<Tx, Commit> extends AttachedInbox implements Inbox<Commit> {
  readonly isDurable = true
  readonly #store: DurableStore<Tx>
  #deliverer: Deliverer<Tx> | undefined

  constructor(store: DurableStore<Tx>) {
    super(store)
    this.#store = store
  }

  protected start(): void {
    const deliverer = this.#open()
    setImmediate(() => {
      if (!this.isClosed) deliverer.start()
    })
  }

  async accept(callback: Callback): Promise<Accepted> {
    const deliverer = this.#open()
    const identity = identityOf(callback)
    const { accepted, started } = await deliverer.change({
      callback: { identity, people: peopleOf(callback) },
      apply: (found, slot) => recordCallback(found, identity, callback, deliverer.claiming(slot)),
    })
    debug.inbox('%s %s %s', shortId(accepted.id), callback.status, accepted.outcome)
    if (accepted.outcome === 'accepted' && started === undefined) this.wake()
    return accepted
  }

  /** The deliverer, made on first use since it needs the webhook. */
  #open(): Deliverer<Tx> {
    const host = this.requireOpen()
    return (this.#deliverer ??= new Deliverer(this.#store, host, this.slots, this.running))
  }

  async quarantine(callback: QuarantinedCallback): Promise<void> {
    this.requireOpen()
    const { id, kind } = callback
    await this.#store.change({
      quarantined: id,
      apply: ({ quarantined: kept }) => ({ quarantined: keptWith(kept, callback), counted: kind, result: undefined }),
    })
  }

  protected wake(): void {
    this.#deliverer?.wake()
  }

  protected stop(): void {
    this.#deliverer?.stop()
  }

  protected async end(): Promise<void> {
    if (this.#deliverer) await settlesWithin(idleWithinMs, this.#deliverer.idle())
    debug.inbox('closed, %d handlers left running', this.running.size + this.slots.stuck)
    await this.#store.close()
  }

  /** Reports a storage failure that no method of this inbox rejects with. */
  report(error: unknown): void {
    this.#deliverer?.failed(error)
  }
}
