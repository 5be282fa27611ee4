import type { Callback, Conversion } from '../callback/conversion.js'
import type { ConversionErrorCode, Issue } from '../errors.js'
import type { ConversionEvent, Outcome, Previous } from './ledger.js'
import type { Operators } from './operators.js'
import type { HeldCallback, RefusedRecord } from './records.js'

declare const commitType: unique symbol

/**
 * Where conversions and deliveries are recorded before the answer. One inbox serves one webhook of a process; durable ones are shared
 * by processes. `Commit` is the type of `context.commit` in the handlers of a webhook with this inbox; undefined where there is none.
 * The operators work without a webhook too, so that a script can look after an inbox; what they mark, a process with handlers delivers.
 */
export interface Inbox<Commit = unknown> extends Operators {
  /** Carries the type only. */
  readonly [commitType]?: Commit
  /** Whether what was answered with 200 survives the process. */
  readonly isDurable: boolean
  /**
   * Called once, by `conversionWebhook`, before anything else; a second call throws `ERR_CONVERSION_INBOX_ATTACHED`.
   * Delivery starts one macrotask later, so that handlers may still be registered.
   */
  attach(host: InboxHost): void
  /**
   * Records a valid callback by the ledger. Resolves when it is recorded for good: in memory after its deliveries have run, in a durable
   * inbox after the commit, with the deliveries to come later, perhaps in another process.
   * Rejects with a coded error (500, 503) where a handler failed in memory or nothing could be recorded; then a repeat is welcome.
   */
  accept(callback: Callback): Promise<Accepted>
  /** Keeps a refused callback for a person to look at. Resolves when it is recorded; the oldest give way. */
  hold(callback: HeldCallback): Promise<void>
  /** Stops claiming, waits `closeTimeoutMs` for running handlers, aborts their signals, then lets go of everything. Idempotent. */
  close(): Promise<void>
}

export interface Accepted {
  readonly outcome: Exclude<Outcome, 'refused'>
  /** The identity's id. */
  readonly id: string
  /** With a conflict: what is recorded of the conversion. */
  readonly recorded?: Previous
}

/** What an inbox needs of the webhook that it belongs to. */
export interface InboxHost {
  hasHandler(event: ConversionEvent): boolean
  /** Asks `confirm` and runs the handler under its time limit. Never throws. */
  deliver(job: Job): Delivering
  /** Reads a refused callback once more, with today's options. Never throws. */
  reread(refused: RefusedRecord): Reread
  /** The typed conversion; undefined where it cannot be typed any more. Never throws. */
  conversionOf(callback: Callback): Conversion<unknown> | undefined
  /** A delivery is tried no more. */
  onDead(dead: { job: Job; error: unknown }): void
  /** Something failed that no caller is told of. */
  onError(error: unknown): void
  readonly concurrency: number
  readonly handlerTimeoutMs: number
  readonly maxAttempts: number
  readonly holdForMs: number
  readonly closeTimeoutMs: number
}

export type Reread =
  | { readonly ok: true; readonly callback: Callback }
  | { readonly ok: false; readonly code: ConversionErrorCode; readonly issues: readonly Issue[] }

/** One attempt at one delivery. */
export interface Job {
  readonly event: ConversionEvent
  /** The idempotency key. */
  readonly id: string
  /** 1 for the first. */
  readonly attempt: number
  readonly previous?: Previous
  readonly callback: Callback
  /** Runs a function in the transaction that marks the delivery done; absent in memory. */
  readonly commit?: (fn: (tx: never) => unknown) => Promise<unknown>
}

export interface Delivering {
  /** How the attempt ended: at the latest when its time ran out. Never rejects. */
  readonly verdict: Promise<Verdict>
  /** When the handler really came to its end; until then its slot is taken. Never rejects. */
  readonly finished: Promise<unknown>
  /** Tells the handler, by `context.signal`, that nobody waits for it any longer. */
  abort(reason: Error): void
}

export type Verdict =
  | { readonly state: 'done' | 'refused' }
  /** To be tried again, by `confirm`'s wish (held) or after a failure. */
  | { readonly state: 'waiting'; readonly code: ConversionErrorCode; readonly error?: unknown }
