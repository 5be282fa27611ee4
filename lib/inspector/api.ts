import type {
  ConversionErrorCode,
  DayCounts,
  Difference,
  HistoryEntry,
  InboxClaim,
  InboxQuery,
  InboxRow,
  InboxStats,
  Repair,
} from 'conversion-webhook'
import type { Replay } from './claims.js'

/** Questions of the page: a POST of JSON to `api/<name>`, from its own origin. A GET would put the search into access logs. */
export interface Api {
  readonly overview: { readonly ask: object; readonly answer: Overview }
  readonly rows: { readonly ask: RowsAsk; readonly answer: Rows }
  readonly entry: { readonly ask: { readonly id: string; readonly unmask: boolean }; readonly answer: EntryView }
  readonly replay: { readonly ask: { readonly id: string }; readonly answer: object }
}

export type ApiName = keyof Api

export interface Overview extends InboxStats {
  /** The last 30 days, today last. */
  readonly perDay: readonly DayCounts[]
}

export interface RowsAsk extends Pick<InboxQuery, 'state' | 'scope' | 'before'> {
  /** An order id or an e-mail address. A string with an @ is searched for as both. */
  readonly search?: string
  /** Answers with unmasked names and addresses. */
  readonly unmask?: boolean
}

export interface Rows {
  readonly rows: readonly RowView[]
  /** Whether older rows exist. */
  readonly hasMore: boolean
}

/** The part of an inbox row that the table shows. Times are ISO 8601. */
export interface RowView extends Pick<InboxRow, 'id' | 'kind' | 'state' | 'event' | 'scope' | 'code' | 'attempts'> {
  readonly receivedAt: string
  readonly orderId?: string | undefined
  /** That another claim has the order, or in what a conflict differs. */
  readonly orderNote?: string | undefined
  /** The name and the e-mail address, as far as they were sent. */
  readonly referrer: readonly string[]
  readonly referee: readonly string[]
  readonly nextAttemptAt?: string | undefined
  readonly heldUntil?: string | undefined
  readonly lastError?: { readonly code: ConversionErrorCode; readonly message?: string }
}

export interface EntryView extends RowView {
  /** When the last attempt began. */
  readonly startedAt?: string | undefined
  /** The received parameters, in the order of the platform's documentation; unknown ones last. */
  readonly params: readonly (readonly [name: string, value: string])[]
  readonly repairs: readonly Repair[]
  /** What was wrong with a refused callback. */
  readonly issues: readonly string[]
  /** The parameters in which a conflict differs from the recorded claim. */
  readonly differs: readonly Difference[]
  /** All claims of the order, first the one that has it. */
  readonly claims: readonly ClaimView[]
  /** How many claims are left out, since an answer has a size limit. */
  readonly otherClaims: number
  /** The newest entries, in the order in which they happened. */
  readonly history: readonly HistoryView[]
  /** How many older entries are left out, since an answer has a size limit. */
  readonly olderHistory: number
  readonly canReplay: boolean
  readonly replay: Replay
}

export interface ClaimView extends Pick<InboxClaim, 'id' | 'status' | 'hasOrder'> {
  /** Whether the row belongs to this claim. */
  readonly isOwn: boolean
  readonly referrer?: string | undefined
  readonly referee?: string | undefined
  readonly purchaseValue?: number | undefined
}

export interface HistoryView extends Omit<HistoryEntry, 'at'> {
  readonly at: string
  /** The number of the entry's claim, counted from 1, if there are several. */
  readonly claim?: number | undefined
}
