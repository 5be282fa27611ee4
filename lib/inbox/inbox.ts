import type { Callback, Conversion, ConversionStatus } from '../callback/conversion.js'
import type { Digest } from '../callback/received.js'
import type { ConversionErrorCode, Issue } from '../errors.js'
import type { Erased, Pruned } from './forgetting.js'
import type { HistoryEntry } from './history.js'
import type { ConversionEvent, DeliveryState, Outcome, Previous } from './ledger.js'
import type { QuarantinedCallback, RefusedRecord } from './quarantine.js'

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
  /** A refused callback that was replayed contradicts what is recorded. */
  onConflict(conflict: { id: string; callback: Callback; recorded: Previous }): void
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
  /** When the handler really came to its end; until then nothing else of its identity runs. Never rejects. */
  readonly finished: Promise<unknown>
  /** Tells the handler, by `context.signal`, that nobody waits for it any longer. */
  abort(reason: Error): void
}

export type Verdict =
  | { readonly state: 'done' | 'refused' }
  /** To be tried again, by `confirm`'s wish (held) or after a failure. */
  | { readonly state: 'waiting'; readonly code: ConversionErrorCode; readonly error?: unknown }

/** `waiting`, `running`, `done`, `dead`, `withdrawn` and `refused` (by `confirm`) of deliveries; the rest of quarantined callbacks. */
export type InboxState = DeliveryState | 'conflict'

export interface InboxQuery {
  readonly state?: InboxState | undefined
  /** The whole order id, case and all. */
  readonly orderId?: string | undefined
  /** The referrer's or the referee's, whatever its case; of refused callbacks any value. */
  readonly email?: string | undefined
  readonly scope?: string | undefined
  /** From 1 to 1,000. @defaultValue 50 */
  readonly limit?: number | undefined
  /** The id of the last row of the page before. */
  readonly before?: string | undefined
}

/** One delivery, or one callback in quarantine. */
export interface InboxRow {
  /** A delivery's `context.id`; `onRefused` told that of a refused callback. */
  readonly id: string
  readonly kind: 'delivery' | 'refused' | 'conflict'
  readonly state: InboxState
  readonly event?: ConversionEvent
  readonly scope: string
  /** Of a quarantined callback: when it came first. */
  readonly receivedAt: Date
  /** Absent where no webhook is there to type it, where it was refused, and after `prune` and `erase`. */
  readonly conversion?: Conversion<unknown>
  /** By documented name; of refused callbacks what was received, by wire name. Empty after `prune` and `erase`. */
  readonly params: Readonly<Record<string, string>>
  /** Why a callback was refused. */
  readonly code?: ConversionErrorCode
  readonly issues?: readonly Issue[]
  /** Of a quarantined callback: how often the same content came, the first time included. */
  readonly count?: number
  /** Of a quarantined callback: when the same content came last. */
  readonly lastAt?: Date
  /** Stands for a refused callback that was beyond the limits or could not be read: it was not kept, and cannot be replayed. */
  readonly digest?: Digest
  /** Attempts that count against `maxAttempts`. */
  readonly attempts: number
  /** When the last attempt began: while the state is `running`, the one that runs. Absent before the first. */
  readonly startedAt?: Date
  readonly nextAttemptAt?: Date
  /** What ended the last attempt that did not succeed; the message is your handler's own. */
  readonly lastError?: { readonly code: ConversionErrorCode; readonly message?: string }
}

export interface InboxEntry extends InboxRow {
  /** Everything that happened to its identity, the oldest first. */
  readonly history: readonly HistoryEntry[]
}

export interface InboxStats {
  /** Callbacks since the inbox was made, by outcome. */
  readonly callbacks: Readonly<Record<Outcome, number>>
  /** Deliveries that are recorded, by state; `refused` by `confirm`. */
  readonly deliveries: Readonly<Record<DeliveryState, number>>
  /** How long ago the callback of the oldest waiting delivery was received; 0 where none waits. */
  readonly oldestWaitingMs: number
  /** With `days`: one entry a day, today last. */
  readonly perDay?: readonly DayCounts[]
}

/** What one day brought, by status; goals are not counted, and a reversal is a fail. */
export interface DayCounts extends Readonly<Record<ConversionStatus, number>> {
  /** The day in UTC, `2026-11-23`. */
  readonly day: string
}

/**
 * What people do with an inbox. Each rejects with a coded error: `ERR_CONVERSION_QUERY_INVALID` for an argument that cannot work, of which
 * the message holds nothing; `ERR_CONVERSION_INBOX_UNAVAILABLE` where the storage fails, `ERR_CONVERSION_INBOX_CLOSED` after its end.
 */
export interface Operators {
  /** Rows, newest first. Rejects with `ERR_CONVERSION_RECORD_UNKNOWN` for `before`. */
  readonly list: (query?: InboxQuery) => Promise<readonly InboxRow[]>
  /** A row with everything that happened to its identity. */
  readonly get: (id: string) => Promise<InboxEntry | undefined>
  /**
   * Marks for one more try: a dead or refused delivery under the same id, so that nothing is paid twice; a waiting one at once; a refused
   * callback through the whole way with today's options; a conflict, once, as a conversion of its own. A process with handlers picks it up.
   * Rejects with `ERR_CONVERSION_RECORD_UNKNOWN` and `ERR_CONVERSION_REPLAY_IMPOSSIBLE`.
   */
  readonly replay: (id: string) => Promise<void>
  /**
   * Totals, and what each of the last `days` (1 to 366) brought. Counts in the storage; the days take
   * SQLite some milliseconds for each 10,000 deliveries in them.
   */
  readonly stats: (options?: { readonly days?: number | undefined }) => Promise<InboxStats>
  /**
   * Drops what was received of conversions that settled longer ago than this, and of callbacks quarantined as long; repeats stay duplicates,
   * conflicts are no longer seen. Conversions with a waiting, running or dead delivery stay.
   */
  readonly prune: (options: { readonly olderThanDays: number }) => Promise<Pruned>
  /**
   * Drops what was received of every conversion and quarantined callback that mentions an e-mail address, or one of up to 1,000, from the
   * files too: in an e-mail parameter the whole address, in any other parameter, extra, scope or error text every occurrence of it, in any
   * case, percent-encoded too. Repeats stay duplicates. Reports the conversions that cannot be erased yet. Reads the whole inbox, in
   * portions, once for all addresses.
   * Rejects with `ERR_CONVERSION_ERASE_INCOMPLETE` where the storage still holds what was dropped; call it again.
   */
  readonly erase: (person: { readonly email: string | readonly string[] }) => Promise<Erased>
}
