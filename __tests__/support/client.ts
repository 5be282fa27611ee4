import { request, type Agent, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http'

export interface Reply {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export interface Sent {
  readonly method?: string
  readonly headers?: OutgoingHttpHeaders
  readonly body?: string | Uint8Array
  /** Reuses connections. Without an agent each request opens its own. */
  readonly agent?: Agent
}

/** Sends one request with exactly these headers and this target. */
export function send(port: number, path: string, { method = 'GET', headers = {}, body, agent }: Sent = {}) {
  return new Promise<Reply>((resolve, reject) => {
    const isLengthKnown = body !== undefined && !('Transfer-Encoding' in headers)
    const all = isLengthKnown ? { 'Content-Length': Buffer.byteLength(body), ...headers } : headers
    const outgoing = request({ host: '127.0.0.1', port, path, method, headers: all, agent: agent ?? false })
    outgoing.on('error', reject)
    outgoing.on('response', (incoming) => {
      const chunks: Buffer[] = []
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
      incoming.on('error', reject)
      incoming.on('end', () => {
        const { statusCode: status = 0, headers: received } = incoming
        resolve({ status, headers: received, body: Buffer.concat(chunks).toString('utf8') })
      })
    })
    outgoing.end(body)
  })
}

/** A POST of a form, encoded as curl's `-d` and PHP's `http_build_query` do. */
export function form(body: string | Uint8Array, type = 'application/x-www-form-urlencoded'): Sent {
  return { method: 'POST', headers: { 'Content-Type': type }, body }
}

/** A POST of JSON. A string is sent unchanged, so that it can be invalid. */
export function json(body: unknown, type = 'application/json'): Sent {
  const text = typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body)
  return { method: 'POST', headers: { 'Content-Type': type }, body: text }
}

export interface Problem {
  readonly type: string
  readonly status: number
  readonly title: string
  readonly code: string
  readonly issues?: readonly { readonly parameter?: string; readonly rule: string; readonly message: string }[]
}

/** The problem details of an answer. Any other answer fails the test. */
export function problemOf({ headers, body }: Reply): Problem {
  expect(headers['content-type']).toBe('application/problem+json')
  return JSON.parse(body) as Problem
}
