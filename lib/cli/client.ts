import http from 'node:http'
import https from 'node:https'

export interface Asked {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** Characters of the body to send before the connection is cut. */
  readonly cutAfter?: number
}

export interface Answer {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  readonly body: string
  /** Milliseconds from the start of the request to the end of the answer. */
  readonly ms: number
}

/** The connection failed, or the time limit passed. `code` is the system's error code, such as ECONNREFUSED. */
export interface NoAnswer {
  readonly code: string
  readonly ms: number
}

export function isAnswer(result: Answer | NoAnswer): result is Answer {
  return 'status' in result
}

const maxBodyLength = 100_000

/** An HTTP client that follows no redirect and sends the query byte for byte. */
export class HttpClient {
  readonly #timeoutMs: number
  readonly #agents: { readonly 'http:': http.Agent; readonly 'https:': https.Agent }

  constructor({ timeoutMs, parallel = 1 }: { readonly timeoutMs: number; readonly parallel?: number }) {
    this.#timeoutMs = timeoutMs
    const options = { keepAlive: true, maxSockets: parallel }
    this.#agents = { 'http:': new http.Agent(options), 'https:': new https.Agent(options) }
  }

  /** `query` is raw and includes its `?`. Never rejects. */
  ask(url: URL, query: string, asked: Asked): Promise<Answer | NoAnswer> {
    const { method = 'GET', headers = {}, body, cutAfter } = asked
    const startedAt = performance.now()
    const isSecure = url.protocol === 'https:'
    const secure = isSecure ? { agent: this.#agents['https:'] } : { agent: this.#agents['http:'] }
    return new Promise((resolve) => {
      const passed = (): number => performance.now() - startedAt
      const settle = (result: Answer | NoAnswer): void => {
        clearTimeout(timer)
        resolve(result)
      }
      const fail = (error: NodeJS.ErrnoException): void => {
        settle({ code: error.code ?? error.message, ms: passed() })
      }
      const request = (isSecure ? https : http).request({
        ...secure,
        protocol: url.protocol,
        hostname: url.hostname.replace(/^\[|\]$/g, ''),
        port: url.port,
        path: `${url.pathname}${query}`,
        method,
        headers: {
          ...(body !== undefined && { 'Content-Length': String(Buffer.byteLength(body)) }),
          ...headers,
        },
      })
      request.on('error', fail)
      // The limit includes the body: an answer that never ends counts as none.
      const timer = setTimeout(() => {
        request.destroy(Object.assign(new Error('no answer in time'), { code: 'ETIMEDOUT' }))
      }, this.#timeoutMs)
      request.on('response', (response) => {
        let text = ''
        response.setEncoding('utf8')
        response.on('data', (chunk: string) => {
          if (text.length < maxBodyLength) text += chunk
        })
        response.on('error', fail)
        response.on('end', () => {
          settle({ status: response.statusCode ?? 0, headers: response.headers, body: text, ms: passed() })
        })
      })
      if (body === undefined || cutAfter === undefined) {
        request.end(body)
        return
      }
      request.write(body.slice(0, cutAfter), () => request.destroy())
    })
  }

  close(): void {
    this.#agents['http:'].destroy()
    this.#agents['https:'].destroy()
  }
}

/** The outcome or the error code in an answer of this package's webhook; an empty string for other answers. */
export function outcomeOrCode({ body }: Answer): string {
  try {
    const { outcome, code } = JSON.parse(body) as { outcome?: unknown; code?: unknown }
    return [outcome, code].find((word) => typeof word === 'string' && /^\w{1,60}$/.test(word))?.toString() ?? ''
  } catch {
    return ''
  }
}
