import { request, Agent } from 'node:http'
import { callbackOf } from './shop.mjs'

/** Sends callbacks over keep-alive connections, 16 to a port, and records the answers. */
export class Client {
  /** The callbacks that were answered with 200, as `{ number, who, outcome }`. */
  taken = []
  /** The callbacks that were answered with 409, as `{ number, who }`. */
  conflicts = []
  /** The number of other answers, by status or by the code of a connection's error. */
  others = new Map()
  #agent = new Agent({ keepAlive: true, maxSockets: 16 })

  /** Resolves with whether the callback was answered. */
  async send(port, number, who) {
    const { status, outcome, retryAfter } = await this.#ask(port, number, who)
    if (status === 200) this.taken.push({ number, who, outcome })
    else if (status === 409) this.conflicts.push({ number, who })
    else {
      const what = status === 503 && retryAfter ? '503 with Retry-After' : String(status)
      this.others.set(what, (this.others.get(what) ?? 0) + 1)
      return false
    }
    return true
  }

  /** Sends an answered callback once more. Resolves with the outcome. */
  async repeat(port, { number, who }) {
    return (await this.#ask(port, number, who)).outcome
  }

  #ask(port, number, who) {
    return new Promise((resolve) => {
      const path = `/webhook?${new URLSearchParams(callbackOf(number, who))}`
      const options = { port, host: '127.0.0.1', path, agent: this.#agent, timeout: 30_000 }
      const call = request(options, (response) => {
        let body = ''
        response.setEncoding('utf8').on('data', (chunk) => (body += chunk))
        response.on('end', () => {
          const outcome = response.statusCode === 200 ? JSON.parse(body).outcome : undefined
          resolve({ status: response.statusCode, outcome, retryAfter: response.headers['retry-after'] })
        })
        response.on('error', ({ code }) => resolve({ status: code }))
      })
      call.on('timeout', () => call.destroy(Object.assign(new Error('timeout'), { code: 'TIMEOUT' })))
      call.on('error', ({ code }) => resolve({ status: code ?? 'ERROR' }))
      call.end()
    })
  }

  close() {
    this.#agent.destroy()
  }
}
