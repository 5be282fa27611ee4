import { Agent, request } from 'node:http'
import { setTimeout as wait } from 'node:timers/promises'

const mailOf = (who, number) => `${who}-${number}@shop.example`
const success = (orderID, changes) => ({
  conversion: 'success',
  orderID,
  referrer_name: 'Zoë Müller',
  referrer_email: mailOf('referrer', orderID),
  referee_email: mailOf('referee', orderID),
  purchaseValue: '10.50',
  ...changes,
})

/** The requests with which the platform may send the same parameters. */
const ways = [
  (params) => ({ method: 'GET', path: `/webhook?${new URLSearchParams(params)}`, type: undefined, body: '' }),
  (params) => ({
    method: 'POST',
    path: '/webhook',
    type: 'application/x-www-form-urlencoded',
    body: String(new URLSearchParams(params)),
  }),
  (params) => ({ method: 'PUT', path: '/webhook', type: 'application/json', body: JSON.stringify(params) }),
]

/** The kinds of requests, in turn. Every second one is a new valid callback. */
const turns = [
  ...[
    'accepted',
    'repeated',
    'accepted',
    'refused',
    'goal',
    'unauthorized',
    'accepted',
    'changed',
    'failing',
    'conflict',
  ],
  ...[
    'accepted',
    'repeated',
    'goal',
    'unreadable',
    'accepted',
    'interrupted',
    'failed',
    'repeated',
    'accepted',
    'visit',
  ],
]
/** A repeat is of one of the last orders, at most this many back. */
const maxRepeatAge = 200

/**
 * Sends callbacks of every kind by a few workers over keep-alive connections, and checks each answer. `paid` is how many handlers must have
 * succeeded in the end, `answered` how many requests got an answer.
 */
export class Load {
  answered = 0
  paid = 0
  answers = {}
  problems = new Set()
  #turn = 0
  #orders = 0
  #recent = []
  #secret
  #inbox
  #port
  #agent

  constructor({ port, secret, inbox, connections = 8 }) {
    this.#port = port
    this.#secret = secret
    this.#inbox = inbox
    this.#agent = new Agent({ keepAlive: true, maxSockets: connections })
    this.connections = connections
  }

  /** Sends `count` requests, as fast as they are answered. */
  fill(count) {
    let left = count
    return this.#work(() => left-- > 0)
  }

  /** Sends requests at `rate` a second, for `ms`. Resolves when the last one is answered, so that the server is idle. */
  steady(rate, ms) {
    const startedAt = performance.now()
    let started = 0
    return this.#work(async () => {
      const dueAt = startedAt + (started++ / rate) * 1_000
      if (dueAt > startedAt + ms || performance.now() > startedAt + ms) return false
      await wait(Math.max(0, dueAt - performance.now()))
      return true
    })
  }

  async #work(goesOn) {
    const work = async () => {
      while (await goesOn()) await this.#kinds[turns[this.#turn++ % turns.length]]()
    }
    await Promise.all(Array.from({ length: this.connections }, work))
  }

  #kinds = {
    accepted: () => this.#accepted(this.#order()),
    goal: () => this.#accepted(this.#order(), { goal_complete: '1' }, 2),
    repeated: async () => {
      const params = this.#recent.length > 0 && this.#recent[this.#turn % this.#recent.length]
      if (params) await this.#expect('duplicate', params)
    },
    /** A pending, followed by its success. */
    changed: async () => {
      const order = this.#order()
      await this.#expect('accepted', success(order, { conversion: 'pending' }))
      await this.#accepted(order)
    },
    failed: () => this.#accepted(this.#order(), { conversion: 'fail' }),
    /** A conversion whose handler fails at the first attempt. With the memory inbox the answer is an error, and the sender repeats it. */
    failing: async () => {
      const order = `F${this.#order()}`
      if (this.#inbox === 'memory') await this.#expect(500, success(order))
      await this.#accepted(order)
    },
    /** A repeat with another amount: a conflict, unless a prune has forgotten the first amount in between. */
    conflict: async () => {
      const order = this.#order()
      await this.#accepted(order)
      await this.#expect([409, 'duplicate'], success(order, { purchaseValue: '99' }))
    },
    refused: () => this.#expect(422, success(this.#order(), { conversion: 'maybe' })),
    unreadable: () => this.#ask(400, ways[0](`orderID=${this.#order()}&orderID=another&conversion=success`)),
    unauthorized: () => this.#ask(401, ways[this.#turn % ways.length](success(this.#order())), 'another secret'),
    visit: () => this.#ask(204, ways[0]({})),
    /** A request whose connection closes in the middle of the body. */
    interrupted: () => this.#interrupt(ways[1](success(this.#order()))),
  }

  #order() {
    return String(++this.#orders)
  }

  async #accepted(order, changes, handlers = 1) {
    const params = success(order, changes)
    await this.#expect('accepted', params)
    this.paid += handlers
    this.#recent.push(params)
    if (this.#recent.length > maxRepeatAge) this.#recent.shift()
  }

  #expect(what, params) {
    return this.#ask(what, ways[this.#turn % ways.length](params))
  }

  /** Sends one request. The answer must have one of the expected statuses or outcomes. */
  async #ask(expected, way, secret = this.#secret) {
    const answer = await this.#send(way, secret)
    this.answered++
    this.answers[answer] = (this.answers[answer] ?? 0) + 1
    if (![expected].flat().includes(answer)) this.problems.add(`${expected} was expected, and ${answer} was answered`)
  }

  #send({ method, path, type, body }, secret) {
    return new Promise((resolve) => {
      const headers = {
        'X-Webhook-Secret': secret,
        ...(body && { 'Content-Type': type, 'Content-Length': Buffer.byteLength(body) }),
      }
      const options = {
        port: this.#port,
        host: '127.0.0.1',
        method,
        path,
        headers,
        agent: this.#agent,
        timeout: 60_000,
      }
      const call = request(options, (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (chunk) => (text += chunk))
        response.on('end', () => resolve(response.statusCode === 200 ? JSON.parse(text).outcome : response.statusCode))
        response.on('error', ({ code }) => resolve(code))
      })
      call.on('timeout', () => call.destroy(Object.assign(new Error('timeout'), { code: 'TIMEOUT' })))
      call.on('error', ({ code }) => resolve(code ?? 'ERROR'))
      call.end(body)
    })
  }

  #interrupt({ method, path, type, body }) {
    return new Promise((resolve) => {
      const headers = { 'X-Webhook-Secret': this.#secret, 'Content-Type': type, 'Content-Length': body.length }
      const call = request({ port: this.#port, host: '127.0.0.1', method, path, headers, agent: false })
      call.on('error', () => undefined).on('close', resolve)
      call.write(body.slice(0, 20), () => setTimeout(() => call.destroy(), 5))
    })
  }

  close() {
    this.#agent.destroy()
  }
}
