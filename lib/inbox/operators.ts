import type { Conversion, ConversionStatus } from '../callback/conversion.js'
import type { Digest } from '../callback/received.js'
import type { ConversionErrorCode, Issue } from '../errors.js'
import type { ConversionEvent, DeliveryState, Difference, Outcome } from './vocabulary.js'

/**
 * The state of a row. A delivery is `waiting`, `running`, `done`, `dead`, `withdrawn`, or `refused` (`confirm` answered `false`, or another
 * claim has the order). A quarantined callback is `refused`, `conflict`, `waiting` (for the check that follows a replay) or `done` (recorded
 * by a replay).
 */
export type InboxState = DeliveryState | 'conflict'

export interface InboxQuery {
  readonly state?: InboxState | undefined
  /** The whole order id; upper and lower case differ. */
  readonly orderId?: string | undefined
  /** The referrer's or the referee's whole address, in any case; in a refused callback, the value of any parameter. */
  readonly email?: string | undefined
  readonly scope?: string | undefined
  /** From 1 to 1,000. @defaultValue 50 */
  readonly limit?: number | undefined
  /** For the next page: the id of the last row of this page. */
  readonly before?: string | undefined
}

/** One delivery, or one callback in quarantine. */
export interface InboxRow {
  /** A delivery's `context.id`, or the id that `onRefused` or `onConflict` got. */
  readonly id: string
  readonly kind: 'delivery' | 'refused' | 'conflict'
  /** `unreadable` if a stored value of the row is damaged or of a later version: `code` says which, and `get(id)` names the column. */
  readonly state: InboxState | 'unreadable'
  readonly event?: ConversionEvent
  readonly scope: string
  /** When the callback was received; for a quarantined callback, when the same content came first. */
  readonly receivedAt: Date
  /** Absent for a refused callback, in a script without a webhook (whose options type it), and after `prune` and `erase`. */
  readonly conversion?: Conversion<unknown>
  /** Parameters by documented name; of a refused callback, by wire name as received. Empty after `prune` and `erase`. */
  readonly params: Readonly<Record<string, string>>
  /** Why a callback was refused. `ERR_CONVERSION_ORDER_TAKEN` for a delivery refused because another claim had the order. */
  readonly code?: ConversionErrorCode
  /**
   * The id of the claim that has the order now; absent if that is the row's own claim, or none. A conflict has no own claim, so this may be
   * the claim of its people: `differs` says. For a delivery that was refused only because of the order's number in the shop: the claim that
   * had the order at that time.
   */
  readonly takenBy?: string
  /**
   * Present for a conflict that contradicts nothing in one claim, but leaves out or adds an address: the id of that claim. A replay records
   * the conflict for that claim. Absent if the conflict contradicts a claim or fits several: a replay makes a new claim of such a conflict.
   */
  readonly agreesWith?: string
  /** Of a conflict: the parameters that differ from the claim that the conflict contradicts or agrees with. */
  readonly differs?: readonly Difference[]
  readonly issues?: readonly Issue[]
  /** Of a quarantined callback: how often the same content came, the first time included. */
  readonly count?: number
  /** Of a quarantined callback: when the same content came last. */
  readonly lastAt?: Date
  /** Length and hash of a refused callback that exceeded the limits or could not be read. Its content was not kept: no replay is possible. */
  readonly digest?: Digest
  /** Attempts that count against `maxAttempts`: since the last replay, without those that `confirm` held. */
  readonly attempts: number
  /** When the last attempt began, also while that attempt still runs. Absent before the first attempt. */
  readonly startedAt?: Date
  readonly nextAttemptAt?: Date
  /** The date that `confirm` answered, while the delivery waits for it. */
  readonly heldUntil?: Date
  /** Why the last unsuccessful attempt ended. `message` is of the error that your handler or `confirm` threw. */
  readonly lastError?: { readonly code: ConversionErrorCode; readonly message?: string }
}

export interface InboxEntry extends InboxRow {
  /** The claims to the order, at most 100. Empty for a refused callback that no replay has recorded. */
  readonly claims: readonly InboxClaim[]
  /** What happened to these claims and to their quarantined callbacks, the oldest first. */
  readonly history: readonly HistoryEntry[]
}

/** One claim to an order. Addresses and amount are absent if no callback stated them, and after `prune` and `erase`. */
export interface InboxClaim {
  /** `context.id` of the claim's deliveries begins with this id. */
  readonly id: string
  readonly status: ConversionStatus
  /** Whether this claim has the order. At most one claim has it, and only that one is paid. */
  readonly hasOrder: boolean
  /** Trimmed and in lower case, as addresses are compared. */
  readonly referrerEmail?: string
  readonly refereeEmail?: string
  readonly purchaseValue?: number
}

export interface InboxStats {
  /** Number of callbacks since the inbox was created, by outcome. */
  readonly callbacks: Readonly<Record<Outcome, number>>
  /**
   * Number of recorded deliveries, by state. `held` counts the waiting deliveries whose last attempt `confirm` answered with `'hold'` or a
   * date; `waiting` counts the others.
   */
  readonly deliveries: Readonly<Record<DeliveryState | 'held', number>>
  /** Milliseconds since the callback of the oldest waiting delivery was received, without held ones; 0 if no delivery waits. */
  readonly oldestWaitingMs: number
  /** Present with `days`: one entry per day, today last. */
  readonly perDay?: readonly DayCounts[]
}

/** Number of deliveries whose callbacks one day brought, by status. `goalComplete` is not counted; a reversal counts as a fail. */
export interface DayCounts extends Readonly<Record<ConversionStatus, number>> {
  /** The day in UTC, such as `2026-11-23`. */
  readonly day: string
  /** Present if the inbox holds counts of this day under an event that this code does not know: their sum. */
  readonly unreadable?: number
}

/**
 * What people do with an inbox. Each method rejects with a coded error: `ERR_CONVERSION_QUERY_INVALID` for an invalid argument, without
 * repeating the argument in the message; `ERR_CONVERSION_INBOX_UNAVAILABLE` if the storage fails; `ERR_CONVERSION_INBOX_CLOSED` if the
 * storage is closed; `ERR_CONVERSION_INBOX_CORRUPT` or `ERR_CONVERSION_INBOX_NEWER` if a stored value cannot be read.
 */
export interface Operators {
  /** Rows, newest first, also unreadable ones. Rejects with `ERR_CONVERSION_RECORD_UNKNOWN` if the inbox has no row with the id `before`. */
  readonly list: (query?: InboxQuery) => Promise<readonly InboxRow[]>
  /** One row with all claims to its order and their history; undefined if the inbox has no row with this id. */
  readonly get: (id: string) => Promise<InboxEntry | undefined>
  /**
   * Marks a row for one more try; a process with handlers picks it up.
   * - A dead or refused delivery is delivered again, under the same `context.id`. A waiting delivery is delivered at once.
   * - A refused callback is parsed, checked and recorded anew, with the current options.
   * - A conflict is recorded, once: for the claim in `agreesWith`, else as a new claim. A fail recorded for a claim takes its reward back.
   *
   * A delivery refused with `ERR_CONVERSION_ORDER_TAKEN`, and a claim made of a conflict, take the order from the claim that has it, once,
   * after the next yes of `confirm`. There is no other way to pay a second claim to an order. While a delivery of the first claim runs, the
   * replay is refused. The state at the time of the replay counts: a delivery that was listed as waiting may be refused by then.
   *
   * Rejects with `ERR_CONVERSION_RECORD_UNKNOWN` for an unknown id, and with `ERR_CONVERSION_REPLAY_IMPOSSIBLE` if the row cannot be replayed.
   */
  readonly replay: (id: string) => Promise<void>
  /**
   * Totals and, with `days` (1 to 366), counts for each of the last days. The storage counts; for the days SQLite takes some milliseconds
   * per 10,000 deliveries.
   */
  readonly stats: (options?: { readonly days?: number | undefined }) => Promise<InboxStats>
  /**
   * Drops the payload of conversions that settled more than `olderThanDays` ago, and callbacks that were quarantined before then. Repeats
   * of pruned conversions are still duplicates, but contradictions are no longer detected. A conversion with a waiting, running or dead
   * delivery stays. Rejects with `ERR_CONVERSION_INBOX_CORRUPT`, after everything else is pruned, if something cannot be read.
   */
  readonly prune: (options: { readonly olderThanDays: number }) => Promise<Pruned>
  /**
   * Drops the payload of every conversion, and every quarantined callback, that mentions an e-mail address, or one of up to 1,000; from the
   * files of the storage too. An e-mail parameter must hold the whole address. In any other parameter, `extra`, scope or error message,
   * every occurrence counts, in any case, percent-encoded too. Repeats of erased conversions are still duplicates.
   * Reads the whole inbox in portions, once for all addresses. Reports the conversions that cannot be erased yet.
   * Rejects with `ERR_CONVERSION_ERASE_INCOMPLETE` if the files may still hold the dropped payload; then call it again.
   * Rejects with `ERR_CONVERSION_INBOX_CORRUPT`, after everything else is erased, if something cannot be read: it may mention the address.
   */
  readonly erase: (person: { readonly email: string | readonly string[] }) => Promise<Erased>
}

export interface Pruned {
  /** Number of conversions whose payload was dropped. */
  readonly pruned: number
}

export interface Erased {
  /** Number of conversions whose payload was dropped, plus number of dropped quarantined callbacks. */
  readonly erased: number
  /** Ids of claims and quarantined callbacks that mention an address but are waiting or running: erase again when they are settled. */
  readonly waiting: readonly string[]
}

/** One thing that happened to an order. */
export interface HistoryEntry {
  readonly at: Date
  /**
   * Of a delivery: `recorded`, `failed`, `held`, `lapsed` (the process of the attempt died), `replayed`, or the state in which it settled.
   * Of a claim: `duplicate` or `stale`, for its repeats. Of a quarantined callback: `refused` or `conflict` when it came, and `replayed`.
   */
  readonly what:
    'recorded' | 'failed' | 'held' | 'lapsed' | 'replayed' | DeliveryState | 'duplicate' | 'stale' | 'conflict'
  /** The id of the delivery, the quarantined callback or, for repeats, the claim. */
  readonly id?: string
  readonly event?: ConversionEvent
  /** The number of the attempt that ended, counted as `attempts` of the row counts. So `held` has none. */
  readonly attempt?: number
  readonly code?: ConversionErrorCode
  readonly message?: string
  /** Present for repeats: how often the same came up to this time. */
  readonly count?: number
}
