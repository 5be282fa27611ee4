import type { Callback, Conversion } from '../callback/conversion.js'
import type { ConversionErrorCode, Issue, PlainCode } from '../errors.js'
import type { Operators } from './operators.js'
import type { QuarantinedCallback, RefusedRecord } from './quarantine.js'
import type { Contradiction, ConversionEvent, Outcome, Previous } from './vocabulary.js'

declare const commitType: unique symbol

/**
 * Records callbacks and their deliveries before the answer. One inbox object serves one webhook; several processes may share the storage
 * of a durable inbox. `Commit` is the type of `context.commit` in the webhook's handlers; undefined if there is none.
 * The operators work without a webhook too, so that a script can look after an inbox. A script only marks what is to be delivered: a
 * process with handlers delivers it.
 */
export interface Inbox<Commit = unknown> extends Operators {
  /** Never set: carries the type only. */
  readonly [commitType]?: Commit
  /** Whether a callback that was answered with 200 survives the end of the process. */
  readonly isDurable: boolean
  /**
   * Called once, by `conversionWebhook`, before `accept` and `quarantine`; a second call throws `ERR_CONVERSION_INBOX_ATTACHED`.
   * Delivery starts one macrotask later, so that the app can still register handlers with `webhook.on`.
   */
  attach(host: InboxHost): void
  /**
   * Records a valid callback by the ledger. The memory inbox resolves after the handlers have run. A durable inbox resolves after its
   * commit, and delivers later, perhaps in another process.
   * Rejects with a coded error (500, 503) if a handler failed in memory or nothing could be recorded; the sender should repeat the callback.
   */
  accept(callback: Callback): Promise<Accepted>
  /**
   * Keeps a refused callback for a person to look at, or counts it if the same content is kept already. Resolves when that is recorded.
   * When the quarantine is full, its oldest callbacks are dropped.
   */
  quarantine(callback: QuarantinedCallback): Promise<void>
  /**
   * Starts no more deliveries, and waits at most `closeTimeoutMs` for running handlers, though not for stuck ones. Then aborts the signals
   * of those that still run, and closes the storage. A second call returns the same promise.
   */
  close(): Promise<void>
}

export interface Accepted {
  readonly outcome: Exclude<Outcome, 'refused'>
  /** The claim's id; for a conflict, the id of the callback in quarantine. */
  readonly id: string
  /** Present for a conflict: what `onConflict` gets. */
  readonly contradiction?: Contradiction
}

/** What an inbox needs of the webhook that it belongs to. */
export interface InboxHost {
  readonly handlers: { has(event: ConversionEvent): boolean }
  /** Whether the webhook has a `confirm`, which is asked before the handlers of `success` and `goalComplete`. */
  readonly hasConfirm: boolean
  /** Asks `confirm` and runs the handler under its time limit. Returns the verdict itself if neither returned a promise. Never throws. */
  deliver(attempt: Attempt): Verdict | Delivering
  /** Parses and checks a refused callback again, with the current options. Never throws. */
  reread(refused: RefusedRecord): RereadResult
  /** The typed conversion; undefined if `parseCustomValue` throws. Never throws. */
  conversionOf(callback: Callback): Conversion<unknown> | undefined
  /** Called when a replayed callback contradicts what is recorded, or when a delivery is refused because another claim has the order. */
  onConflict(conflict: Contradiction & { readonly callback: Callback }): void
  /** Called when a delivery has become dead. */
  onDead(dead: { job: Job; error: unknown }): void
  /** Reports a failure that no promise rejects with: of the job's handler or, without a job, of the inbox. */
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

/** A delivery, as one attempt passes it to `confirm` and the handler. */
export interface Job {
  readonly event: ConversionEvent
  /** The idempotency key. */
  readonly id: string
  /** 1 for the first attempt. */
  readonly attempt: number
  readonly previous: Previous | undefined
  readonly callback: Callback
}

/** One attempt at one delivery, with the changes that it may make in the storage while it runs. */
export interface Attempt extends Job {
  /**
   * Reserves the order for the claim: called after a yes of `confirm`, before the handler. `order` is the number that `confirm` answered;
   * undefined stands for the order id of the callback. Rejects if the storage fails.
   */
  readonly reserve: (order: string | undefined) => Promise<Reserved>
  /** Runs a function in the transaction that marks the delivery done; absent in memory. */
  readonly commit?: (fn: (tx: never) => unknown) => Promise<unknown>
}

export type Reserved =
  | Readonly<Record<string, never>>
  /** How the attempt ends: another claim has the order, or the attempt has lapsed. */
  | { readonly verdict: Verdict }
  /** `confirm` named another order than an earlier yes for the same claim. */
  | { readonly isAnotherOrder: true }

/** An attempt that waits for `confirm` or for the handler. */
export interface Delivering {
  /** Resolves when the handler has ended or, before that, when its time runs out. Never rejects. */
  readonly verdict: Promise<Verdict>
  /** Resolves when the handler has ended, in time or not; until then no other delivery of its claim runs. Never rejects. */
  readonly finished: Promise<unknown>
  /** Aborts the handler's `context.signal`. */
  abort(reason: Error): void
}

/** How an attempt ended. */
export type Verdict =
  | { readonly state: 'done' }
  /** `confirm` answered `false`, or the claim `takenBy` has the order. */
  | { readonly state: 'refused'; readonly takenBy?: string }
  /** To be tried again: `confirm` holds it, or the attempt failed. `until`: the date that `confirm` answered, in milliseconds since 1970. */
  | { readonly state: 'waiting'; readonly code: PlainCode; readonly error?: unknown; readonly until?: number }
