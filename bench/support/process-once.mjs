/*
 * One process of bench/process.mjs: `node process-once.mjs <variant>` prints microseconds and bytes a request in process: a request and a
 * response of node:http whose socket throws all bytes away. First checks that the package and the recorder answer the same, and that
 * their handlers get the same conversion: otherwise their costs could not be compared.
 */
import assert from 'node:assert/strict'
import { IncomingMessage, ServerResponse } from 'node:http'
import { Writable } from 'node:stream'
import { conversionWebhook } from 'conversion-webhook'
import { recorder } from './recorder.mjs'

const secret = 'a-secret-of-the-benchmark'
const variants = {
  ours: (handlers) => conversionWebhook(handlers, { secret }),
  recorder: (handlers) => recorder(handlers, { secret }),
  bare: () => (_req, res) => res.writeHead(200, { 'Content-Length': 2 }).end('{}'),
}

let order = 0
const query = (orderID) =>
  `conversion=success&referrer_name=Robert+Downy&referrer_email=example%40gmail.com&referee_name=Cristian+Bale&referee_email=example%40gmail.com&orderID=${orderID}&purchaseValue=1000&referrer_converts=2&referrer_customValue=xxxxxxx&goal_complete=1`

/** A socket that nobody reads. */
class Nowhere extends Writable {
  written = ''
  isKept = false
  constructor() {
    super({ decodeStrings: false })
  }
  _write(chunk, _encoding, done) {
    if (this.isKept) this.written += chunk
    done()
  }
}

const socket = new Nowhere()

/** Resolves when the middleware has answered. */
function request(middleware, orderID) {
  const req = new IncomingMessage(socket)
  Object.assign(req, { method: 'GET', url: `/webhook?${query(orderID)}`, httpVersionMajor: 1, httpVersionMinor: 1 })
  req.headers = { host: '127.0.0.1', 'x-webhook-secret': secret }
  const res = new ServerResponse(req)
  res.assignSocket(socket)
  return new Promise((resolve) => {
    res.once('finish', () => {
      res.detachSocket(socket)
      resolve()
    })
    middleware(req, res)
  })
}

async function answerOf(make, orders) {
  const got = []
  const middleware = make({ onSuccess: (...args) => void got.push(args) })
  socket.isKept = true
  socket.written = ''
  for (const orderID of orders) await request(middleware, orderID)
  socket.isKept = false
  const conversions = got.map(([conversion, context]) => {
    assert.deepEqual(Object.keys(context).sort(), ['attempt', 'event', 'id', 'signal'])
    return {
      ...conversion,
      receivedAt: undefined,
      extra: { ...conversion.extra },
      id: context.id,
      attempt: context.attempt,
    }
  })
  return { answers: socket.written.replaceAll(/^Date: .*$/gm, ''), conversions }
}

async function measure(middleware, count) {
  const from = process.cpuUsage()
  for (let index = 0; index < count; index++) await request(middleware, `order${order++}`)
  const { user, system } = process.cpuUsage(from)
  return (user + system) / count
}

/** Bytes that a request allocates; the process is started with room for all of them, so that nothing is collected meanwhile. */
async function allocated(middleware, count) {
  globalThis.gc()
  const from = process.memoryUsage().heapUsed
  for (let index = 0; index < count; index++) await request(middleware, `order${order++}`)
  return (process.memoryUsage().heapUsed - from) / count
}

const [expected, actual] = await Promise.all([])
  .then(() => answerOf(variants.recorder, ['1', ' A-2', 'three', '1']))
  .then(async (byHand) => [byHand, await answerOf(variants.ours, ['1', ' A-2', 'three', '1'])])
assert.deepEqual(actual, expected)

const middleware = variants[process.argv[2]]({ onSuccess: () => undefined })
await measure(middleware, 60_000)
const rounds = []
for (let round = 0; round < 5; round++) {
  rounds.push({ micros: await measure(middleware, 10_000), bytes: await allocated(middleware, 2_000) })
}
const middle = (figure) => rounds.map((round) => round[figure]).sort((a, b) => a - b)[2]
console.log(JSON.stringify({ micros: middle('micros'), bytes: middle('bytes') }))
