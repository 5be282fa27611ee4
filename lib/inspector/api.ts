import type { InboxQuery, InboxStats } from 'conversion-webhook'
import type { EntryView, RowView } from './view.js'

/** Questions of the page: a POST of JSON to `api/<name>`, from its own origin. A GET would put the search into access logs. */
export interface Api {
  readonly overview: { readonly ask: object; readonly answer: Overview }
  readonly rows: { readonly ask: RowsAsk; readonly answer: Rows }
  readonly entry: { readonly ask: { readonly id: string; readonly unmask: boolean }; readonly answer: EntryView }
  readonly replay: { readonly ask: { readonly id: string }; readonly answer: object }
}

export type ApiName = keyof Api

/** `perDay` has the last 30 days, today last. */
export type Overview = Required<InboxStats>

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
