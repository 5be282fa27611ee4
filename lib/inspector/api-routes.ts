import type { IncomingMessage, ServerResponse } from 'node:http'
import { isConversionWebhookError, type ConversionErrorCode, type InboxRow, type Operators } from 'conversion-webhook'
import { isRecord } from '../util/kind-of.js'
import { send, sendProblem } from './answers.js'
import type { Api, ApiName, Rows, RowsAsk } from './api.js'
import type { Overviews } from './overview.js'
import { entryView, rowView } from './view.js'

const maxBytes = 16 * 1024
const pageSize = 50

interface Sources {
  readonly inbox: Operators
  readonly overviews: Overviews
}

/** A question of the page: strings, and the flag `unmask`. */
type Asked = Readonly<Record<string, unknown>>

/** A function for each question of the API. It resolves with undefined if the asked row does not exist. */
const answerers: {
  readonly [Name in ApiName]: (asked: Asked, sources: Sources) => Promise<Api[Name]['answer'] | undefined>
} = {
  overview: (_asked, { overviews }) => overviews.get(),
  rows: (asked, { inbox }) => findRows(inbox, asked),
  async entry({ id, unmask }, { inbox }) {
    const entry = await inbox.get(id as string)
    return entry && entryView(entry, unmask === true)
  },
  async replay({ id }, { inbox }) {
    await inbox.replay(id as string)
    return {}
  },
}

/** The status for errors that the question causes. Any other error is a failure of the storage: 503. */
const statuses: Partial<Record<ConversionErrorCode, number>> = {
  ERR_CONVERSION_QUERY_INVALID: 400,
  ERR_CONVERSION_RECORD_UNKNOWN: 404,
  ERR_CONVERSION_REPLAY_IMPOSSIBLE: 409,
}

export async function answerApi(
  name: string,
  req: IncomingMessage & { body?: unknown },
  res: ServerResponse,
  sources: Sources,
): Promise<void> {
  if (!isApiName(name)) {
    sendProblem(res, 404)
  } else if (req.method !== 'POST') {
    sendProblem(res, 405, { Allow: 'POST' })
  } else if (!isOwnPage(req)) {
    sendProblem(res, 403)
  } else {
    const asked = await readAsk(req)
    if (asked === 413) sendProblem(res, 413, { Connection: 'close' })
    else if (asked === 400) sendProblem(res, 400)
    else await answerOne(name, asked, res, sources)
  }
}

async function answerOne(name: ApiName, asked: Asked, res: ServerResponse, sources: Sources): Promise<void> {
  try {
    const answer = await answerers[name](asked, sources)
    if (answer === undefined) sendProblem(res, 404, {}, 'ERR_CONVERSION_RECORD_UNKNOWN')
    else send(res, 200, { 'Content-Type': 'application/json' }, JSON.stringify(answer))
  } catch (error) {
    const code = isConversionWebhookError(error) ? error.code : undefined
    sendProblem(res, (code && statuses[code]) ?? 503, {}, code)
  }
}

function isApiName(name: string): name is ApiName {
  return Object.hasOwn(answerers, name)
}

/**
 * Whether a request comes from the page itself. Browsers set `Sec-Fetch-Site` and `Origin`. `X-Conversion-Inspector` needs a CORS preflight
 * from another origin, and the inspector allows none.
 */
function isOwnPage({ headers }: IncomingMessage): boolean {
  const { 'sec-fetch-site': site = 'same-origin', 'content-type': type = '', origin, host } = headers
  if (site !== 'same-origin') return false
  if (origin !== undefined && !(URL.canParse(origin) && new URL(origin).host === host)) return false
  return headers['x-conversion-inspector'] === '1' && /^application\/json\s*(;|$)/i.test(type)
}

/** Reads a question. Uses `req.body` if a body parser has read the request. Resolves with a status if the question cannot be answered. */
async function readAsk(req: IncomingMessage & { body?: unknown }): Promise<Asked | 400 | 413> {
  let value: unknown = req.body
  if (value === undefined || !req.readableDidRead) {
    const text = await readText(req)
    if (text === undefined) return 413
    try {
      value = JSON.parse(text)
    } catch {
      return 400
    }
  }
  if (!isRecord(value)) return 400
  const typeOf = (name: string) => (name === 'unmask' ? 'boolean' : 'string')
  return Object.entries(value).every(([name, part]) => typeof part === typeOf(name)) ? value : 400
}

async function readText(req: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of req as AsyncIterable<Buffer>) {
    bytes += chunk.byteLength
    if (bytes > maxBytes) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** One page of the table. A search with an @ looks for addresses and order ids: a registration's order id can be an address. */
async function findRows(inbox: Operators, { search = '', state, scope, before, unmask }: RowsAsk): Promise<Rows> {
  const text = search.trim()
  const filters = { state, scope, before, limit: pageSize + 1 }
  const asked = text === '' ? [{}] : [{ orderId: text }, ...(text.includes('@') ? [{ email: text }] : [])]
  const found = await Promise.all(asked.map((by) => inbox.list({ ...filters, ...by })))
  const rows = [...new Map(found.flat().map((row) => [row.id, row])).values()].sort(newestFirst)
  return { rows: rows.slice(0, pageSize).map((row) => rowView(row, unmask === true)), hasMore: rows.length > pageSize }
}

/** The order of `inbox.list`: the next page begins after the last row of this one. */
function newestFirst(a: InboxRow, b: InboxRow): number {
  return b.receivedAt.getTime() - a.receivedAt.getTime() || (a.id < b.id ? 1 : -1)
}
