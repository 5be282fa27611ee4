import type { InboxRow, Operators } from 'conversion-webhook'
import type { Rows, RowsAsk } from './api.js'
import { rowView } from './view.js'

const pageSize = 50

/** One page of the table. A text with an @ may be an address, or the order id that a registration has. */
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

/** The order of the inbox itself, so that the last row of a page is where the next one begins. */
function newestFirst(a: InboxRow, b: InboxRow): number {
  return b.receivedAt.getTime() - a.receivedAt.getTime() || (a.id < b.id ? 1 : -1)
}
