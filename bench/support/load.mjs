import { once } from 'node:events'
import { connect } from 'node:net'
import { pin, start } from './report.mjs'

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

/**
 * Starts an app of server.mjs in a fresh process and loads it. After a warm-up measures its requests a second, and the microseconds of
 * processor time that its process takes for one. Server and load have a core each where the machine has two.
 */
export async function loadApp(framework, variant, env = {}) {
  const server = start('server.mjs', [framework, variant], { stdio: ['ignore', 'inherit', 'ignore', 'ipc'], env })
  const [port] = await once(server, 'message')
  pin(server.pid, 0)
  pin(process.pid, 1)
  const processorTime = async () => {
    server.send('processor time')
    return (await once(server, 'message'))[0]
  }
  const counter = { count: 0 }
  const sockets = Array.from({ length: connections }, () => load(port, counter))
  const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
  await wait(warmUpMs)
  const [from, before] = [await processorTime(), counter.count]
  const startedAt = performance.now()
  await wait(measureMs)
  const [to, requests] = [await processorTime(), counter.count - before]
  const perSecond = (requests / (performance.now() - startedAt)) * 1_000
  for (const socket of sockets) socket.destroy()
  server.disconnect()
  await once(server, 'exit')
  return { perSecond, micros: (to - from) / requests }
}
