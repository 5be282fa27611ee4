/*
 * Why: a receiver must disappear in what its framework costs. Requests a second of an app with the package, over the same app with a
 * middleware that only calls next(), and of the same app with a validation library. A server is a fresh process; this one sends the load
 * over keep-alive connections, each callback with an order of its own. Variants take turns, and each ratio is of one turn.
 */
import { once } from 'node:events'
import { connect } from 'node:net'
import { report, spread, start, tell } from './support/report.mjs'

const turns = 5
const connections = 16
const warmUpMs = 4_000 // until what is measured is compiled: 1 s was too short
const measureMs = 2_000
const secret = 'a-secret-of-the-benchmark'
const callback = (order) =>
  `/webhook?conversion=success&referrer_name=Robert+Downy&referrer_email=example%40gmail.com&referee_name=Cristian+Bale&referee_email=example%40gmail.com&orderID=${order}&purchaseValue=1000&referrer_converts=2&referrer_customValue=xxxxxxx&goal_complete=1`

let order = 0

/** Sends callbacks one after another over a connection until told to stop; counts the answers of 200. */
function load(port, counter) {
  const socket = connect(port, '127.0.0.1')
  const send = () =>
    socket.write(`GET ${callback(order++)} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Webhook-Secret: ${secret}\r\n\r\n`)
  let rest = ''
  socket.setEncoding('latin1').on('connect', send)
  socket.on('data', (chunk) => {
    rest += chunk
    if (!rest.endsWith('}') && !rest.endsWith('\r\n0\r\n\r\n')) return
    if (!rest.startsWith('HTTP/1.1 200')) throw new Error(rest)
    rest = ''
    counter.count++
    send()
  })
  return socket
}

/** Requests a second of one app, after a warm-up. */
async function measure(framework, variant) {
  const server = start('server.mjs', [framework, variant], { stdio: ['ignore', 'inherit', 'ignore', 'ipc'] })
  const [port] = await once(server, 'message')
  const counter = { count: 0 }
  const sockets = Array.from({ length: connections }, () => load(port, counter))
  const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
  await wait(warmUpMs)
  const before = counter.count
  const startedAt = performance.now()
  await wait(measureMs)
  const perSecond = ((counter.count - before) / (performance.now() - startedAt)) * 1_000
  for (const socket of sockets) socket.destroy()
  server.disconnect()
  await once(server, 'exit')
  return perSecond
}

const apps = [
  ['express', ['noop', 'ours', 'express-validator', 'zod']],
  ['connect', ['noop', 'ours']],
  ['http', ['noop', 'ours']],
]
const results = []
for (let turn = 0; turn < turns; turn++) {
  const result = {}
  for (const [framework, variants] of apps) {
    // Every other turn backwards, so that a machine that slows down favours nobody.
    for (const variant of turn % 2 ? variants.toReversed() : variants)
      result[`${framework} ${variant}`] = await measure(framework, variant)
  }
  results.push(result)
  tell(`turn ${turn + 1} of ${turns}`)
}
const rate = (app) => ({ ...spread(results.map((result) => result[app])), unit: 'requests/s', digits: 0 })
const ratio = (a, b) => spread(results.map((result) => result[a] / result[b]))
report(
  'Requests over HTTP',
  [
    { what: 'Express 5: package ÷ no-op', ...ratio('express ours', 'express noop'), atLeast: 0.88 },
    {
      what: 'Express 5: package ÷ express-validator',
      ...ratio('express ours', 'express express-validator'),
      atLeast: 4,
    },
    { what: 'Express 5: package ÷ zod', ...ratio('express ours', 'express zod') },
    { what: 'Connect 3: package ÷ no-op', ...ratio('connect ours', 'connect noop') },
    { what: 'node:http: package ÷ no-op', ...ratio('http ours', 'http noop') },
    { what: 'Express 5 with a no-op', ...rate('express noop') },
    { what: 'Express 5 with the package', ...rate('express ours') },
    { what: 'Express 5 with express-validator', ...rate('express express-validator') },
    { what: 'Connect 3 with the package', ...rate('connect ours') },
    { what: 'node:http with the package', ...rate('http ours') },
  ],
  [`${connections} connections, ${turns} turns.`],
)
