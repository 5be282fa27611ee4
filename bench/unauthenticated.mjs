/*
 * Why: a stranger needs no secret to send requests, so the cost of one request must be bounded. Compares requests of up to 16 KB without a
 * right credential with a bare Express 404 of the same URL. Only the processor time of the server's process counts, measured in pairs within
 * one run, so that neither the client nor another program matters. The inputs are the worst known ones for each step; the result is the worst.
 */
import { once } from 'node:events'
import { connect } from 'node:net'
import { report, spread, start, tell } from './support/report.mjs'

const turns = 7
const requests = 1_000
const maxHead = 16_000 // Node takes 16 KiB of request line and headers

/** Repeats a string up to a length. */
const fill = (text, length = maxHead - 300) => text.repeat(Math.floor(length / text.length))
const halves = (first, second) => fill(first, (maxHead - 300) / 2) + fill(second, (maxHead - 300) / 2)

const inputs = [
  ['question marks and stray percent signs', { query: `${halves('?', '%')}=` }],
  ['&amp; and stray percent signs', { query: fill('amp;a=%&') }],
  ['tokens', { query: fill('token=aaaaaaaaaaaaaaaaaaaaaaaa&') }],
  ['one long token', { query: `token=${fill('a')}` }],
  ['a token of stray percent signs', { query: `token=${fill('%')}` }],
  ['a token of percent escapes', { query: `token=${fill('%41')}` }],
  ['a token of question marks', { query: `token=${fill('?')}` }],
  ['a token behind many ampersands', { query: `${fill('&')}token=aaaaaaaaaaaaaaaaaa` }],
  ['names that end in token', { query: fill('xtoken=a&') }],
  ['token without an end', { query: fill('token=') }],
  ['the ten, again and again', { query: fill('conversion=success&orderID=1&') }],
  ['brackets', { query: fill('a[b][c]=1&') }],
  ['escapes in names', { query: fill('%74oken=a&') }],
  ['a long Bearer', { query: 'a=1', headers: `Authorization: Bearer ${fill('a')}\r\n` }],
  ['a Bearer of blanks', { query: 'a=1', headers: `Authorization: Bearer ${fill(' ')}x\r\n` }],
  ['a long Basic', { query: 'a=1', headers: `Authorization: Basic ${fill('YTph')}\r\n` }],
  ['a long X-Webhook-Secret', { query: 'a=1', headers: `X-Webhook-Secret: ${fill('a')}\r\n` }],
  ['purposes', { query: 'a=1', headers: `Purpose: ${fill('pre')}\r\n` }],
  ['a long path segment', { path: `/${fill('a')}` }],
  ['a path segment of escapes', { path: `/${fill('%41')}` }],
  ['a path of many segments', { path: fill('/a') }],
  ['HEAD, question marks and percent signs', { method: 'HEAD', query: `${halves('?', '%')}=` }],
  ['DELETE, question marks and percent signs', { method: 'DELETE', query: `${halves('?', '%')}=` }],
  ['POST with a query of token=', { method: 'POST', query: fill('token=') }],
]

/** Microseconds of processor time that a server takes for one request, the mean of many in a row. */
async function cost(server, bytes) {
  server.send('reset')
  const socket = connect(server.port, '127.0.0.1').setEncoding('latin1')
  let left = requests
  await new Promise((resolve, reject) => {
    let rest = ''
    socket.on('error', reject).on('close', () => reject(new Error('closed')))
    socket.on('connect', () => socket.write(bytes))
    socket.on('data', (chunk) => {
      rest += chunk
      if (!isWhole(rest)) return
      rest = ''
      if (--left === 0) resolve()
      else socket.write(bytes)
    })
  })
  socket.removeAllListeners('close').destroy()
  server.send('cost')
  const [{ micros }] = await once(server, 'message')
  return micros / requests
}

function isWhole(text) {
  const end = text.indexOf('\r\n\r\n')
  if (end === -1) return false
  const head = text.slice(0, end)
  const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0)
  return /^HTTP\/1\.1 204/.test(head) || isHead || text.length >= end + 4 + length
}
let isHead = false

async function serve(variant) {
  const child = start('strangers.mjs', [variant], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const [port] = await once(child, 'message')
  return Object.assign(child, { port })
}

const [ours, bare] = [await serve('ours'), await serve('bare')]
const results = []
for (const [what, { method = 'GET', path = '', query, headers = '' }] of inputs) {
  isHead = method === 'HEAD'
  const url = `/webhook${path}${query === undefined ? '' : `?${query}`}`
  const bytes = Buffer.from(`${method} ${url} HTTP/1.1\r\nHost: shop.example\r\n${headers}\r\n`, 'latin1')
  const ratios = []
  for (let turn = 0; turn < turns; turn++) ratios.push((await cost(ours, bytes)) / (await cost(bare, bytes)))
  results.push({ what, ...spread(ratios) })
  tell(what)
}
for (const server of [ours, bare]) server.disconnect()
results.sort((a, b) => b.median - a.median)
const [{ what, ...worst }] = results
report(
  'Requests without a right credential ÷ a bare Express 404',
  [{ what: `the worst: ${what}`, ...worst, atMost: 3 }, ...results.slice(1)],
  [`Processor time of the server's process, ${requests} requests a measurement, ${turns} pairs for each input.`],
)
