import type { Holders } from './holders.js'
import type { People } from './identity.js'
import type { ConflictRecord, QuarantinedCallback, Size } from './quarantine.js'
import { ordersOf, type AttemptMark, type ClaimRecord, type Delivery } from './records.js'
import type { Sought } from './search.js'
import type { ConversionEvent, DeliveryState, Outcome } from './vocabulary.js'

/** What one change finds, inside its transaction. */
export interface Found {
  /** The claim that was asked for. */
  readonly record?: ClaimRecord
  /** Of the identity of a callback: at least what `belongsTo` needs. */
  readonly claims: readonly ClaimRecord[]
  /** Which claims have the orders that were asked for, and all orders of the claims that were found. */
  readonly holders: Holders
  readonly quarantined?: QuarantinedCallback
}

/** What it leaves; what is not named stays. */
export interface Changed<T> {
  readonly record?: ClaimRecord
  /** Orders that the claim `record` has from now on, whoever had them before. */
  readonly reserved?: readonly string[]
  readonly quarantined?: QuarantinedCallback
  /** A conflict of the identity, to be kept as `keptWith` says. */
  readonly conflict?: ConflictRecord
  readonly counted?: Outcome
  readonly result: T
}

/** A read and a write of one claim, one quarantined callback, or both, that nothing comes between. */
export interface Change<T, Tx = never> {
  /** The id of a claim. */
  readonly claim?: string | undefined
  /** The identity and the people of a callback, whose claim is still to be found. */
  readonly callback?: { readonly identity: string; readonly people: People }
  /** The identity of another order than the claim's own. */
  readonly order?: string | undefined
  /** The id of a quarantined callback. */
  readonly quarantined?: string
  /** The owner of the candidate that this change is about: where it does not run afterwards, it has served. */
  readonly candidate?: string
  /** The owner of the attempt that this change settles: unless it runs afterwards, it is over, whatever was recorded of it before. */
  readonly attempt?: string | undefined
  /** Pure. May run again, with what is found then, where a transaction had to be repeated. */
  readonly apply: (found: Found) => Changed<T>
  /** Runs in the same transaction; where it throws, nothing of this change stays. What it returns is awaited once at most. */
  readonly effect?: (tx: Tx) => unknown
  /** Told what the effect returned, or what that resolved with. */
  readonly effected?: (value: unknown) => void
}

/** The orders whose holders a change is to find, with the claims that were found. */
export function ordersFor(
  { callback, order }: Pick<Change<unknown>, 'callback' | 'order'>,
  claims: readonly (ClaimRecord | undefined)[],
): ReadonlySet<string> {
  const named = [callback?.identity, order].filter((each) => each !== undefined)
  return new Set([...named, ...claims.flatMap((record) => (record ? ordersOf(record) : []))])
}

/** How many claims of an order are shown. */
export const maxClaims = 100

/** Something that waits for a process with handlers. */
export type Candidate =
  | {
      /** The id of a claim. */
      readonly claim: string
      /** Whose attempt this candidate is. */
      readonly owner: string
      /** Whether an attempt that runs had lapsed when this candidate was found: its process is gone. Pure. */
      readonly isLapsed: (attempt: AttemptMark) => boolean
    }
  /** A refused callback that was replayed. */
  | { readonly quarantined: string }

/** A place in the listing, which goes from the newest to the oldest. */
export interface Position {
  readonly receivedAt: number
  readonly id: string
}

/** A place among what was settled for good, which goes from the oldest to the newest. */
export interface Settled {
  readonly at: number
  readonly number: number
}

export interface Selection {
  readonly scope?: string | undefined
  readonly before?: Position | undefined
  readonly limit: number
}

export interface QuarantineSelection extends Selection, Sought {
  readonly state?: QuarantinedCallback['state'] | undefined
}

export interface DeliverySelection extends Selection, Sought {
  readonly state?: DeliveryState | undefined
}

export interface StoredDelivery {
  /** The id of its claim. */
  readonly claim: string
  readonly identity: string
  /** The claim's, once it was reserved. */
  readonly order?: string | undefined
  readonly scope: string
  readonly delivery: Delivery
}

/** Deliveries of one event whose callbacks one day brought. */
export interface DailyCount {
  /** Days since 1970, in UTC. */
  readonly day: number
  readonly event: ConversionEvent
  readonly count: number
}

export type Counts<Name extends string> = Readonly<Record<Name, number>>

/** Deliveries by state; those that are held are not in `waiting`. */
export type DeliveryCounts = Counts<DeliveryState | 'held'>

/**
 * What a store does: lock, read, write, find. No rules. Every method rejects where the storage fails; nothing of a change that rejects
 * is recorded.
 */
export interface Store<Tx = never> {
  /**
   * Makes one change in a transaction, which it may share with others that come at the same time; resolves after the commit.
   * Changes of one identity are made one after another, whichever process asks, and so are changes of one order.
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
  deliveries(selection: DeliverySelection): Promise<readonly StoredDelivery[]>
  /** Quarantined callbacks, newest first. */
  quarantine(selection: QuarantineSelection): Promise<readonly QuarantinedCallback[]>
  /** What each kind of quarantined callbacks may take; the oldest give way, but never what waits. */
  readonly quarantineBudget: Size
  /** What waits in the quarantine. */
  waitingInQuarantine(): Promise<Size>
  callbackCounts(): Promise<Counts<Outcome>>
  deliveryCounts(): Promise<DeliveryCounts>
  /** When the callback of the oldest waiting delivery was received that is not held. */
  oldestWaitingAt(): Promise<number | undefined>
  /** From a day on, in days since 1970 in UTC; in no order, perhaps several of one day and event. */
  dailyCounts(firstDay: number): Promise<readonly DailyCount[]>
  /** All records after one, in an order of the store's: at most so many, fewer where that many would take long, none at the end. */
  records(after: string, limit: number): Promise<readonly ClaimRecord[]>
  /**
   * Records with a delivery that was done, withdrawn or refused before a time and whose payload is there, oldest first, and where they
   * end: nowhere when there are no more. A store without it is asked for all records.
   */
  settled?(
    before: number,
    after: Settled | undefined,
    limit: number,
  ): Promise<{ readonly records: readonly ClaimRecord[]; readonly last?: Settled }>
  /** Removes a quarantined callback, unless it waits; whether it did. */
  drop(id: string): Promise<boolean>
  /** Makes what was overwritten unreadable in the storage as well. Rejects with `ERR_CONVERSION_ERASE_INCOMPLETE` where it cannot. */
  scrub(): Promise<void>
}

/** A store that outlives the process, and what delivering from it takes. */
export interface DurableStore<Tx> extends Store<Tx> {
  /** Whose attempts are claimed outside candidates: where a change may claim by itself. */
  readonly owner?: string
  /** Milliseconds between two looks for candidates that nobody announced. */
  readonly pollMs: number
  /** Milliseconds since 1970, by the clock that deliveries are due by. */
  readonly now: () => number
  /** What waits for a process with handlers, oldest first. What is found is still to be claimed: another process may be faster. */
  candidates(limit: number): Promise<readonly Candidate[]>
  /** Says that this process lives, and that its attempts do. Called every five seconds while it may have any. */
  beat(): Promise<void>
  /** Some claims of which a delivery is recorded as running for this process, but does not run here: to be taken over from ourselves. */
  leftBehind(active: ReadonlySet<string>): Promise<readonly Candidate[]>
  /** Tells whenever there may be candidates. */
  listen(wake: () => void): void
  close(): Promise<void>
}
