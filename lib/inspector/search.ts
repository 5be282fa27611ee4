import type { InboxRow, Operators } from 'conversion-webhook'
import type { Rows, RowsAsk } from './api.js'
import { rowView } from './view.js'

const pageSize = 50

/** One page of the table. A search with an @ looks for addresses and order ids: a registration's order id can be an address. */
export async function findRows(inbox: Operators, ask: RowsAsk, isUnmasked: boolean): Promise<Rows> {
  const { search = '', state, scope, before } = ask
  const text = search.trim()
  const filters = { state, scope, before, limit: pageSize + 1 }
  const asked = text === '' ? [{}] : [{ orderId: text }, ...(text.includes('@') ? [{ email: text }] : [])]
  const found = await Promise.all(asked.map((by) => inbox.list({ ...filters, ...by })))
  const rows = [...new Map(found.flat().map((row) => [row.id, row])).values()].sort(newestFirst)
  return {
    rows: rows.slice(0, pageSize).map((row) => rowView(row, isUnmasked)),
    hasMore: rows.length > pageSize,
  }
}

/** The order of `inbox.list`: the next page begins after the last row of this one. */
function newestFirst(a: InboxRow, b: InboxRow): number {
  return b.receivedAt.getTime() - a.receivedAt.getTime() || (a.id < b.id ? 1 : -1)
}
