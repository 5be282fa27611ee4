import http from 'node:http'
import https from 'node:https'
import { targetOf, type Target, type TargetOptions } from './target.js'

export interface Asked {
  readonly method?: string | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly body?: string | undefined
  /** Characters of the body to send before the connection is cut. */
  readonly cutAfter?: number | undefined
}

export interface Answer {
  /** 0 if the connection failed or the time limit passed. */
  readonly status: number
  /** `200 accepted`, `503 ERR_CONVERSION_INBOX_UNAVAILABLE`, `no answer: ECONNREFUSED` */
  readonly label: string
  readonly headers: http.IncomingHttpHeaders
  /** Milliseconds from the start of the request to the end of the answer. */
  readonly ms: number
}

const maxBodyLength = 100_000

/** An HTTP client for one target. Follows no redirect and sends the query byte for byte. */
export class HttpClient {
  readonly target: Target
  readonly #timeoutMs: number
  readonly #request: typeof http.request
  readonly #agent: http.Agent

  constructor(target: Target, timeoutMs: number) {
    const { request, Agent } = target.url.protocol === 'https:' ? https : http
    this.target = target
    this.#timeoutMs = timeoutMs
    this.#request = request
    this.#agent = new Agent({ keepAlive: true })
  }

  /** Sends a raw query, without its `?`, and the credential of the target, or of another target on the same server. Never rejects. */
  ask(query: string, asked: Asked = {}, { url, headers: credential } = this.target): Promise<Answer> {
    const { method, headers, body, cutAfter } = asked
    const startedAt = performance.now()
    return new Promise((resolve) => {
      const settle = (status: number, label: string, headers: http.IncomingHttpHeaders = {}): void => {
        clearTimeout(timer)
        resolve({ status, label, headers, ms: performance.now() - startedAt })
      }
      const fail = (error: NodeJS.ErrnoException): void => {
        settle(0, `no answer: ${error.code ?? error.message}`)
      }
      const length = body === undefined ? {} : { 'Content-Length': String(Buffer.byteLength(body)) }
      const request = this.#request({
        agent: this.#agent,
        protocol: url.protocol,
        hostname: url.hostname.replace(/^\[|\]$/g, ''),
        port: url.port,
        path: url.pathname + queryOf(url, query),
        method,
        headers: { ...length, ...credential, ...headers },
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
          const { statusCode: status = 0, headers } = response
          settle(status, `${String(status)} ${outcomeOrCode(text)}`.trim(), headers)
        })
      })
      if (body === undefined || cutAfter === undefined) request.end(body)
      else request.write(body.slice(0, cutAfter), () => request.destroy())
    })
  }

  close(): void {
    this.#agent.destroy()
  }
}

export async function withClient(url: URL, options: TargetOptions, work: (client: HttpClient) => Promise<void>) {
  const client = new HttpClient(targetOf(url, options), options.timeout)
  try {
    await work(client)
  } finally {
    client.close()
  }
}

/** The raw query of a URL with `more` appended, and with its `?`. */
function queryOf({ search }: URL, more: string): string {
  const joined = [search.slice(1), more].filter((part) => part !== '').join('&')
  return joined === '' ? '' : `?${joined}`
}

/** The outcome or the error code in an answer of this package's webhook; an empty string for other answers. */
function outcomeOrCode(body: string): string {
  try {
    const { outcome, code } = JSON.parse(body) as { outcome?: unknown; code?: unknown }
    return [outcome, code].find((word) => typeof word === 'string' && /^\w{1,60}$/.test(word))?.toString() ?? ''
  } catch {
    return ''
  }
}
