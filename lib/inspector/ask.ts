import type { IncomingMessage } from 'node:http'

const maxBytes = 16 * 1024

/**
 * Whether a request comes from the page itself. Browsers set `Sec-Fetch-Site` and `Origin`. `X-Conversion-Inspector` needs a CORS preflight
 * from another origin, and the inspector allows none.
 */
export function isOwnPage({ headers }: IncomingMessage): boolean {
  const site = headers['sec-fetch-site']
  if (site !== undefined && site !== 'same-origin') return false
  const { origin } = headers
  if (origin !== undefined && !(URL.canParse(origin) && new URL(origin).host === headers.host)) return false
  return headers['x-conversion-inspector'] === '1' && isJson(headers['content-type'])
}

function isJson(type = ''): boolean {
  return /^application\/json\s*(;|$)/i.test(type)
}

type ParsedQuery =
  | { readonly ok: true; readonly asked: Readonly<Record<string, unknown>> }
  | { readonly ok: false; readonly status: 400 | 413 }

/** Reads a question: an object of strings and one flag. Uses `req.body` if a body parser has read the request. */
export async function readAsk(req: IncomingMessage & { body?: unknown }): Promise<ParsedQuery> {
  let value: unknown = req.body
  if (value === undefined || !req.readableDidRead) {
    const text = await readText(req)
    if (text === undefined) return { ok: false, status: 413 }
    try {
      value = JSON.parse(text)
    } catch {
      return { ok: false, status: 400 }
    }
  }
  return isAsk(value) ? { ok: true, asked: value } : { ok: false, status: 400 }
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

function isAsk(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  return Object.entries(value).every(([name, part]) => typeof part === (name === 'unmask' ? 'boolean' : 'string'))
}
