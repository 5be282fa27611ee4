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
  /** Keeps the connection; without one each request has its own. */
  readonly agent?: Agent
}

/** One request with exactly these headers and this target. */
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

/** A POST of a form, as curl's `-d` and PHP's `http_build_query` send it. */
export function form(body: string | Uint8Array, type = 'application/x-www-form-urlencoded'): Sent {
  return { method: 'POST', headers: { 'Content-Type': type }, body }
}

/** A POST of JSON; a text is sent as it is. */
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

/** The problem of an answer that has one; anything else fails the test. */
export function problemOf({ headers, body }: Reply): Problem {
  expect(headers['content-type']).toBe('application/problem+json')
  return JSON.parse(body) as Problem
}
