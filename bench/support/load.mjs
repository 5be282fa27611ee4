import { once } from 'node:events'
import { connect } from 'node:net'
import { start } from './report.mjs'

export const connections = 16
const warmUpMs = 4_000 // until V8 has compiled the measured code: 1 s was too short
const measureMs = 2_000
const secret = 'a-secret-of-the-benchmark'
const callback = (order) =>
  `/webhook?conversion=success&referrer_name=Robert+Downy&referrer_email=example%40gmail.com&referee_name=Cristian+Bale&referee_email=example%40gmail.com&orderID=${order}&purchaseValue=1000&referrer_converts=2&referrer_customValue=xxxxxxx&goal_complete=1`

let order = 0

/** Sends callbacks one after another over a connection until it is stopped. Counts the answers with 200. */
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

/** Starts an app of server.mjs in a fresh process and measures its requests a second after a warm-up. */
export async function requestRate(framework, variant, env = {}) {
  const server = start('server.mjs', [framework, variant], { stdio: ['ignore', 'inherit', 'ignore', 'ipc'], env })
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
