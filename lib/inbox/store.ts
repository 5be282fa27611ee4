import { ConversionWebhookError, isConversionWebhookError } from '../errors.js'
import { receivedAtOf } from './quarantine.js'
import type { ConflictRecord, QuarantinedCallback, QuarantineKind, Size } from './quarantine.js'
import { deliveryId, keyOf, ordersOf } from './records.js'
import type { AttemptMark, ClaimRecord, Delivery, People } from './records.js'
import type { Sought } from './search.js'
import type { ConversionEvent, DeliveryState, Outcome } from './vocabulary.js'
import type { HolderLookup, Holders } from './reservation.js'

/** What a change finds inside its transaction. */
export interface Found {
  /** The claim that was asked for. */
  readonly record?: ClaimRecord | undefined
  /** Claims of the callback's identity: at least those that `belongsTo` needs. */
  readonly claims: readonly ClaimRecord[]
  /** Which claims have the orders that the change names, and the orders of the claims that were found. */
  readonly holders: HolderLookup
  readonly quarantined?: QuarantinedCallback | undefined
}

/** What a change writes. Whatever is absent here stays as it is in the storage. */
export interface Changed<T> {
  readonly record?: ClaimRecord | undefined
  /** Orders that the claim `record` gets, even if another claim has them. */
  readonly reserved?: readonly string[]
  readonly quarantined?: QuarantinedCallback | undefined
  /** A conflict to keep in the quarantine, as `keptWith` decides. */
  readonly conflict?: ConflictRecord
  readonly counted?: Outcome
  readonly result: T
}

/** Reads and writes one claim, one quarantined callback, or both, atomically: those with these ids. */
export interface Change<T, Tx = never> {
  readonly claim?: string | undefined
  /** The identity and the people of a callback whose claim is to be found. */
  readonly callback?: { readonly identity: string; readonly people: People }
  /** The identity of another order than the claim's own. */
  readonly order?: string | undefined
  readonly quarantined?: string
  /** Owner of the candidate being processed. If no delivery runs under this owner after the change, PostgreSQL finishes the ticket. */
  readonly candidateOwner?: string
  /** Owner of the attempt being settled. PostgreSQL finishes the ticket in the same way, even if the change writes nothing. */
  readonly attemptOwner?: string | undefined
  /** Pure. Called again, with what is found then, if the transaction is repeated. */
  readonly apply: (found: Found) => Changed<T>
  /** Runs in the same transaction; if it throws, the transaction is rolled back. Its return value is awaited at most once. */
  readonly effect?: (tx: Tx) => unknown
  /** Called with what the effect returned or resolved with. */
  readonly effected?: (value: unknown) => void
}

/** The orders whose holders a change has to find: those that it names, and those of the claims that were found. */
export function ordersFor(
  { callback, order }: Pick<Change<unknown>, 'callback' | 'order'>,
  claims: readonly (ClaimRecord | undefined)[],
): ReadonlySet<string> {
  const named = [callback?.identity, order].filter((each) => each !== undefined)
  return new Set([...named, ...claims.flatMap((record) => (record ? ordersOf(record) : []))])
}

/** How many claims to an order are shown. */
export const maxClaims = 100

/** Something that a look found for a process with handlers; it is still to be claimed. */
export type Candidate =
  | {
      readonly claim: string
      /** Owner of the attempts that are started from this candidate. */
      readonly owner: string
      /** Whether a running attempt is the one whose process was gone when this candidate was found. Pure. */
      readonly isLapsed: (attempt: AttemptMark) => boolean
    }
  /** A refused callback that was replayed. */
  | { readonly quarantined: string }

/** A position in a listing, which goes from the newest to the oldest. */
export interface Position {
  readonly receivedAt: number
  readonly id: string
}

/** A position among the settled deliveries, which are read from the oldest to the newest. */
export interface Settled {
  readonly at: number
  readonly number: number
}

/** A part of what is read in several calls. */
export interface Portion<Found, After> {
  readonly found: readonly Found[]
  /** The next call begins after this; undefined if there is no more. */
  readonly last?: After | undefined
}

export interface Selection<State = unknown> extends Sought {
  readonly state?: State | undefined
  readonly scope?: string | undefined
  readonly before?: Position | undefined
  readonly limit: number
}

export type QuarantineSelection = Selection<QuarantinedCallback['state']>
export type DeliverySelection = Selection<DeliveryState>

/** Stands for a claim, a delivery or a quarantined callback of which a stored value is damaged or of a later version. */
export interface Unread {
  readonly id: string
  /** Names the column. */
  readonly unread: ConversionWebhookError
}

/** Stands for a row of a listing, with what its other columns say. */
export interface UnreadRow extends Unread, Position {
  readonly kind: 'delivery' | QuarantineKind
  readonly scope: string
}

export type Listed<Item> = Item | UnreadRow

/** Whether a storage rejected with the error because a stored value is damaged or of a later version. */
export function isOfStoredValue(error: unknown): error is ConversionWebhookError {
  const codes: readonly string[] = ['ERR_CONVERSION_INBOX_CORRUPT', 'ERR_CONVERSION_INBOX_NEWER']
  return isConversionWebhookError(error) && codes.includes(error.code)
}

export interface StoredDelivery {
  readonly claim: string
  readonly identity: string
  /** The order that is reserved for the claim, if one is. */
  readonly order?: string | undefined
  readonly scope: string
  readonly delivery: Delivery
}

/** What a listing finds. */
export type AnyRow = Listed<StoredDelivery | QuarantinedCallback>

function positionOf(row: AnyRow): Position {
  if ('unread' in row) return row
  if (!('delivery' in row)) return { id: row.id, receivedAt: receivedAtOf(row) }
  return { id: deliveryId(row.claim, keyOf(row.delivery)), receivedAt: row.delivery.callback.receivedAt }
}

function newestFirst(a: Position, b: Position): number {
  return b.receivedAt - a.receivedAt || (a.id === b.id ? 0 : a.id < b.id ? 1 : -1)
}

/** Sorts rows as listings do, and returns those of one page. */
export function pageOf<Row extends AnyRow>(
  rows: readonly Row[],
  { before, limit }: Pick<Selection, 'before' | 'limit'>,
): readonly Row[] {
  const positioned = rows.map((row) => ({ row, position: positionOf(row) }))
  const older = before ? positioned.filter(({ position }) => newestFirst(before, position) < 0) : positioned
  const sorted = older.sort((a, b) => newestFirst(a.position, b.position))
  return sorted.slice(0, limit).map(({ row }) => row)
}

/** The number of deliveries of one event whose callbacks came on one day. */
export interface DailyCount<Event = ConversionEvent> {
  /** Days since 1970, in UTC. */
  readonly day: number
  readonly event: Event
  readonly count: number
}

export type StoredCount = DailyCount<ConversionEvent | undefined>

export type Counts<Name extends string> = Readonly<Record<Name, number>>

/** Deliveries by state; held deliveries are not counted in `waiting`. */
export type DeliveryCounts = Counts<DeliveryState | 'held'>

/**
 * A store locks, reads, writes and finds; it holds no rules. Every method rejects if the storage fails. Nothing of a change that rejects
 * is recorded, unless its effect has ended the transaction (`isTransactionEnded`).
 */
export interface Store<Tx = never> {
  /**
   * Makes one change in a transaction, which it may share with changes that come at the same time. Resolves after the commit.
   * Changes of one identity are made one after another, in all processes, and so are changes of one order.
   */
  change<T>(change: Change<T, Tx>): Promise<T>
  record(claim: string): Promise<ClaimRecord | undefined>
  /** The oldest claims of an identity, the first one first, at most `maxClaims`. */
  claims(identity: string): Promise<readonly ClaimRecord[]>
  /** Which claims have these orders. */
  holders(orders: readonly string[]): Promise<Holders>
  quarantined(id: string): Promise<QuarantinedCallback | undefined>
  /** The newest hundred conflicts of an identity, in the order in which they came first. */
  conflicts(identity: string): Promise<readonly QuarantinedCallback[]>
  /** Deliveries, newest first. */
  deliveries(selection: DeliverySelection): Promise<readonly Listed<StoredDelivery>[]>
  /** Quarantined callbacks, newest first. */
  quarantine(selection: QuarantineSelection): Promise<readonly Listed<QuarantinedCallback>[]>
  /** All quarantined callbacks, whatever their state. */
  allQuarantined(after: number | undefined, limit: number): Promise<Portion<Listed<QuarantinedCallback>, number>>
  /** When the callback of a delivery, or a quarantined callback, was received: the position of this id in a listing. */
  receivedAt(id: string): Promise<number | undefined>
  /** The budget of each kind of quarantined callbacks. The oldest are dropped, but never those that wait after a replay. */
  readonly quarantineBudget: Size
  /** The size of the quarantined callbacks that wait after a replay. */
  waitingInQuarantine(): Promise<Size>
  callbackCounts(): Promise<Counts<Outcome>>
  deliveryCounts(): Promise<DeliveryCounts>
  /** When the callback of the oldest waiting delivery was received; held deliveries do not count. */
  oldestWaitingAt(): Promise<number | undefined>
  /**
   * Counts from this day on (days since 1970, in UTC), in any order. A day and event may have several counts: their sum is meant. The event
   * is undefined if this code does not know the stored one.
   */
  dailyCounts(firstDay: number): Promise<readonly StoredCount[]>
  /** All records, in the store's own order: at most `limit`, fewer if so many would take long. */
  records(after: string | undefined, limit: number): Promise<Portion<ClaimRecord | Unread, string>>
  /**
   * At least the records that still have a payload and have a delivery that became done, withdrawn or refused before `before`, the oldest
   * first.
   */
  settled(before: number, after: Settled | undefined, limit: number): Promise<Portion<ClaimRecord | Unread, Settled>>
  /** Removes a quarantined callback unless it waits after a replay; resolves with whether it was removed. */
  drop(id: string): Promise<boolean>
  /** Makes overwritten data unreadable in the files of the storage. Rejects with `ERR_CONVERSION_ERASE_INCOMPLETE` if that fails. */
  scrub(): Promise<void>
}

/** A store that outlives the process, with what delivering from it needs. */
export interface DurableStore<Tx> extends Store<Tx> {
  /** Owner of attempts that a change claims without a candidate; absent if the store requires candidates. */
  readonly owner?: string
  /** Milliseconds between two looks for candidates that no wake-up announced. */
  readonly pollMs: number
  /** Milliseconds since 1970, by the clock that deliveries are due by. */
  readonly now: () => number
  /**
   * Looks for candidates, oldest first, without those with an id in `except`. Each is still to be claimed: another process may be faster. A
   * store that returns a failed candidate only after a while may ignore `except`.
   */
  candidates(limit: number, except: ReadonlySet<string>): Promise<readonly Candidate[]>
  /** Records that this process and its attempts live. Called every five seconds in a process with handlers. */
  beat(): Promise<void>
  /** Claims with a delivery that is recorded as running in this process but is not among `active`, so that this process retries it. */
  leftBehind(active: ReadonlySet<string>): Promise<readonly Candidate[]>
  /** Calls `wake` whenever there may be new candidates. */
  listen(wake: () => void): void
  close(): Promise<void>
}

/** A store's rejection when an effect has ended its own transaction: the effect may be committed, and must not be repeated. */
class TransactionEnded extends ConversionWebhookError {
  readonly isTransactionEnded = true
}

/** The error of an effect that ended its transaction; `cause` is what the effect threw, if it threw. */
export function transactionEnded(details: { readonly cause?: unknown } = {}): ConversionWebhookError {
  return new TransactionEnded('ERR_CONVERSION_COMMIT_INVALID', { values: { why: 'ended' }, ...details })
}

export function isTransactionEnded(error: unknown): error is ConversionWebhookError {
  return error instanceof Error && 'isTransactionEnded' in error
}
