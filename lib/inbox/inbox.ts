import type { Callback, Conversion } from '../callback/conversion.js'
import type { ConversionErrorCode, Issue, PlainCode } from '../errors.js'
import type { Operators } from './operators.js'
import type { QuarantinedCallback, RefusedRecord } from './quarantine.js'
import type { Contradiction, ConversionEvent, Outcome, Previous } from './vocabulary.js'

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
  /**
   * Keeps a refused callback for a person to look at, or counts it where the same content is kept already.
   * Resolves when that is recorded; the oldest give way.
   */
  quarantine(callback: QuarantinedCallback): Promise<void>
  /** Stops claiming, waits `closeTimeoutMs` for running handlers but not for stuck ones, aborts their signals, then lets go of everything. Idempotent. */
  close(): Promise<void>
}

export interface Accepted {
  readonly outcome: Exclude<Outcome, 'refused'>
  /** The claim's id; of a conflict that of the callback in quarantine. */
  readonly id: string
  /** With a conflict: what is told of it. */
  readonly contradiction?: Contradiction
}

/** What an inbox needs of the webhook that it belongs to. */
export interface InboxHost {
  readonly handlers: { has(event: ConversionEvent): boolean }
  /** Whether `confirm` is asked before a success reaches its handler. */
  readonly hasConfirm: boolean
  /** Asks `confirm` and runs the handler under its time limit. Never throws. */
  deliver(attempt: Attempt): Delivering
  /** Reads a refused callback once more, with today's options. Never throws. */
  reread(refused: RefusedRecord): RereadResult
  /** The typed conversion; undefined where it cannot be typed any more. Never throws. */
  conversionOf(callback: Callback): Conversion<unknown> | undefined
  /** A refused callback that was replayed contradicts what is recorded, or a delivery is refused because another claim has the order. */
  onConflict(conflict: Contradiction & { readonly callback: Callback }): void
  /** A delivery is tried no more. */
  onDead(dead: { job: Job; error: unknown }): void
  /** Something failed that no caller is told of: with a job its handler, else the inbox. */
  onError(error: unknown, job?: Job): void
  readonly concurrency: number
  readonly handlerTimeoutMs: number
  readonly maxAttempts: number
  readonly maxHoldMs: number
  readonly closeTimeoutMs: number
}

export type RereadResult =
  | { readonly ok: true; readonly callback: Callback }
  | { readonly ok: false; readonly code: ConversionErrorCode; readonly issues: readonly Issue[] }

/** What is delivered. */
export interface Job {
  readonly event: ConversionEvent
  /** The idempotency key. */
  readonly id: string
  /** 1 for the first. */
  readonly attempt: number
  readonly previous?: Previous
  readonly callback: Callback
}

/** One attempt at one delivery, and what it changes in the storage while it runs. */
export interface Attempt extends Job {
  /**
   * Reserves the order for the claim, after a yes of `confirm` and before the handler: `order` as `confirm` named it, or the order id as sent.
   * Rejects where the storage fails.
   */
  readonly reserve: (order: string | undefined) => Promise<Reserved>
  /** Runs a function in the transaction that marks the delivery done; absent in memory. */
  readonly commit?: (fn: (tx: never) => unknown) => Promise<unknown>
}

export type Reserved =
  | Readonly<Record<string, never>>
  /** What the attempt came to, since the order is another claim's or the attempt has lapsed. */
  | { readonly verdict: Verdict }
  /** `confirm` named another order than an earlier yes for the same claim. */
  | { readonly isAnotherOrder: true }

export interface Delivering {
  /** How the attempt ended: at the latest when its time ran out. Never rejects. */
  readonly verdict: Promise<Verdict>
  /** When the handler really came to its end; until then nothing else of its identity runs. Never rejects. */
  readonly finished: Promise<unknown>
  /** Tells the handler, by `context.signal`, that nobody waits for it any longer. */
  abort(reason: Error): void
}

export type Verdict =
  | { readonly state: 'done' }
  /** By `confirm`, or because the claim `takenBy` has the order. */
  | { readonly state: 'refused'; readonly takenBy?: string }
  /** To be tried again, by `confirm`'s wish (held) or after a failure. `until`: the date that `confirm` answered, in milliseconds since 1970. */
  | {
      readonly state: 'waiting'
      readonly code: PlainCode
      readonly error?: unknown
      readonly until?: number
    }
