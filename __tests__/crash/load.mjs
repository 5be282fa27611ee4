import { request, Agent } from 'node:http'

/** Sends callbacks over 16 connections, each with an order of its own, to one of the ports in turn; writes down what was answered. */
export class Load {
  ports = []
  sent = 0
  /** Orders that were answered 200, by outcome. */
  answered = new Map()
  /** How often something else came: a status, or the code of a connection's error. */
  others = new Map()
  #isOver = false
  #agent = new Agent({ keepAlive: true, maxSockets: 16 })
  #workers

  constructor(prefix) {
    this.prefix = prefix
    this.#workers = Array.from({ length: 16 }, () => this.#work())
  }

  async #work() {
    while (!this.#isOver) {
      const port = this.ports[this.sent % Math.max(1, this.ports.length)]
      if (port === undefined) {
        await new Promise((resolve) => setTimeout(resolve, 2))
        continue
      }
      const order = `${this.prefix}-${this.sent++}`
      const { status, outcome, retryAfter } = await this.send(port, order)
      if (status === 200) this.answered.set(order, outcome)
      else {
        const what = status === 503 && retryAfter ? '503 with Retry-After' : String(status)
        this.others.set(what, (this.others.get(what) ?? 0) + 1)
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
    }
  }

  send(port, order) {
    const query = new URLSearchParams({
      conversion: 'success',
      orderID: order,
      referrer_email: `${order}@shop.example`,
      purchaseValue: '10',
      goal_complete: '1',
    })
    return new Promise((resolve) => {
      const options = { port, host: '127.0.0.1', path: `/webhook?${query}`, agent: this.#agent, timeout: 30_000 }
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

  async stop() {
    this.#isOver = true
    await Promise.all(this.#workers)
  }

  close() {
    this.#agent.destroy()
  }
}
