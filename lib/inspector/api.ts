import type {
  ConversionErrorCode,
  ConversionEvent,
  ConversionStatus,
  DayCounts,
  Difference,
  HistoryEntry,
  InboxRow,
  InboxState,
  InboxStats,
  Repair,
} from 'conversion-webhook'

import type { Replay } from './claims.js'

/** What the page may ask: a POST of JSON to `api/<name>`, from its own origin. A GET would leave what is searched for in access logs. */
export interface Api {
  readonly overview: { readonly ask: object; readonly answer: Overview }
  readonly rows: { readonly ask: RowsAsk; readonly answer: Rows }
  readonly entry: { readonly ask: EntryAsk; readonly answer: EntryView }
  readonly replay: { readonly ask: { readonly id: string }; readonly answer: object }
}

export type ApiName = keyof Api

export interface Overview extends InboxStats {
  /** The last 30 days, today last. */
  readonly perDay: readonly DayCounts[]
}

export interface RowsAsk {
  /** An order id, or an e-mail address: what contains an @ is looked for as both. */
  readonly search?: string
  readonly state?: InboxState
  readonly scope?: string
  /** The id of the last row of the page before. */
  readonly before?: string
  /** Names and addresses as they are. */
  readonly unmask?: boolean
}

export interface Rows {
  readonly rows: readonly RowView[]
  /** Whether there are older ones. */
  readonly hasMore: boolean
}

interface EntryAsk {
  readonly id: string
  readonly unmask?: boolean
}

/** A row of the inbox, as far as the table shows it. Times are ISO 8601. */
export interface RowView extends Pick<
  InboxRow,
  'id' | 'kind' | 'state' | 'event' | 'scope' | 'code' | 'attempts' | 'takenBy'
> {
  readonly receivedAt: string
  readonly orderId?: string
  readonly referrer?: PersonView
  readonly referee?: PersonView
  readonly nextAttemptAt?: string
  readonly heldUntil?: string
  readonly lastError?: { readonly code: ConversionErrorCode; readonly message?: string }
}

export interface PersonView {
  readonly name?: string
  readonly email?: string
}

export interface EntryView extends RowView {
  /** When the last attempt began. */
  readonly startedAt?: string
  /** What was received, in the order of the platform's document; strangers last. */
  readonly params: readonly (readonly [name: string, value: string])[]
  readonly repairs: readonly Repair[]
  /** What was wrong with a refused callback. */
  readonly issues: readonly string[]
  /** Why a conflict is one. */
  readonly differs: readonly Difference[]
  /** Who claims the order: the claim that has it first. */
  readonly claims: readonly ClaimView[]
  /** How many claims there are besides these; an answer has a limit. */
  readonly otherClaims: number
  /** The newest, the oldest of them first. */
  readonly history: readonly HistoryView[]
  /** How many entries there are before these; an answer has a limit. */
  readonly olderHistory: number
  readonly canReplay: boolean
  readonly replay: Replay
}

export interface ClaimView {
  readonly id: string
  readonly status: ConversionStatus
  readonly hasOrder: boolean
  /** Whether the row belongs to it. */
  readonly isOwn: boolean
  readonly referrer?: string
  readonly referee?: string
  readonly purchaseValue?: number
}

export interface HistoryView extends Omit<HistoryEntry, 'at' | 'event'> {
  readonly at: string
  readonly event?: ConversionEvent
  /** Which of several claims it happened to, counted from 1. */
  readonly claim?: number
}
