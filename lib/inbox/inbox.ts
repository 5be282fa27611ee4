import type { Callback, Conversion, ConversionStatus } from '../callback/conversion.js'
import type { Digest } from '../callback/received.js'
import type { ConversionErrorCode, Issue, PlainCode } from '../errors.js'
import type { Erased, Pruned } from './forgetting.js'
import type { HistoryEntry } from './history.js'
import type { Difference } from './claims.js'
import type { ConversionEvent, DeliveryState, Outcome, Previous } from './ledger.js'
import type { QuarantinedCallback, RefusedRecord } from './quarantine.js'
import type { Contradiction } from './recording.js'

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
  hasHandler(event: ConversionEvent): boolean
  /** Whether `confirm` is asked before a success reaches its handler. */
  readonly hasConfirm: boolean
  /** Asks `confirm` and runs the handler under its time limit. Never throws. */
  deliver(attempt: Attempt): Delivering
  /** Reads a refused callback once more, with today's options. Never throws. */
  reread(refused: RefusedRecord): Reread
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

export type Reread =
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
  /** Why a callback was refused; of a refused delivery `ERR_CONVERSION_ORDER_TAKEN`, absent where `confirm` refused it. */
  readonly code?: ConversionErrorCode
  /**
   * The claim that has the order now, where it is another one than the row's own. Of a delivery that was refused for the order's number in
   * the shop alone: the claim that had it then.
   */
  readonly takenBy?: string
  /**
   * Of a conflict that only leaves out, or adds, what one claim states: that claim, for which a replay records it. Absent where the conflict
   * contradicts a claim or could be of several: then a replay makes a claim of its own of it.
   */
  readonly agreesWith?: string
  /** Of a conflict: what told it from the claim that it contradicts or agrees with. */
  readonly differs?: readonly Difference[]
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
  /** While it waits for a date that `confirm` answered: that date. */
  readonly heldUntil?: Date
  /** What ended the last attempt that did not succeed; the message is your handler's own. */
  readonly lastError?: { readonly code: ConversionErrorCode; readonly message?: string }
}

export interface InboxEntry extends InboxRow {
  /** The claims of the order, at most a hundred; none for a refused callback that was not read again. */
  readonly claims: readonly InboxClaim[]
  /** Everything that happened to them, the oldest first. */
  readonly history: readonly HistoryEntry[]
}

/** Who claims an order. People and amount are absent where they were not stated, and after `prune` and `erase`. */
export interface InboxClaim {
  /** `context.id` of its deliveries begins with it. */
  readonly id: string
  readonly status: ConversionStatus
  /** Whether it is the one claim that may be paid. */
  readonly hasOrder: boolean
  /** E-mail addresses as they are compared. */
  readonly referrerEmail?: string
  readonly refereeEmail?: string
  readonly purchaseValue?: number
}

export interface InboxStats {
  /** Callbacks since the inbox was made, by outcome. */
  readonly callbacks: Readonly<Record<Outcome, number>>
  /**
   * Deliveries that are recorded, by state; `refused` by `confirm`. `held` are the waiting ones whose last attempt `confirm` answered
   * with `'hold'` or a date; they are not in `waiting`.
   */
  readonly deliveries: Readonly<Record<DeliveryState | 'held', number>>
  /** How long ago the callback of the oldest waiting delivery was received; 0 where none waits. Those that are held do not count. */
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
  /** A row with all claims of its order, and everything that happened to them. */
  readonly get: (id: string) => Promise<InboxEntry | undefined>
  /**
   * Marks for one more try: a dead or refused delivery under the same id, so that nothing is paid twice; a waiting one at once; a refused
   * callback through the whole way with today's options; a conflict, once: for the claim that it leaves an address out of, or states one
   * more than (a fail takes its reward back), else as a claim of its own. A process with handlers picks it up.
   * A delivery refused with `ERR_CONVERSION_ORDER_TAKEN` and a claim made of a conflict take the order, once, from the claim that has it,
   * after the next yes of `confirm`: the only way in which a second claim of an order is paid. Not while a delivery of that claim runs.
   * What counts is the state at the time of the replay: a delivery that was listed as waiting and has been refused since takes the order.
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
