/*
 * Why: callbacks that strangers can make the platform send must not fill the memory or the disk, or delay valid callbacks. A server with a
 * heap of 256 MB gets hostile callbacks of each kind, all different, over 8 connections. Every tenth request is a valid callback, which must
 * be accepted with 200, and the process must be alive at the end.
 *
 * `node __tests__/flood/run.mjs [--inbox memory|sqlite] [--each 10000] [--json]` exits with 1 if a promise was broken.
 */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { kinds } from './kinds.mjs'

const { values } = parseArgs({
  options: {
    inbox: { type: 'string', default: 'memory' },
    each: { type: 'string', default: '10000' },
    json: { type: 'boolean', default: false },
  },
})
const each = Number(values.each)
const connections = 8
const trueEvery = 10

const folder = mkdtempSync(join(tmpdir(), 'conversion-webhook-flood-'))
const secret = randomBytes(24).toString('base64url')
const options = { inbox: values.inbox, file: join(folder, 'inbox.db'), secret }
const child = spawn(
  process.execPath,
  ['--max-old-space-size=256', fileURLToPath(new URL('server.mjs', import.meta.url)), JSON.stringify(options)],
  { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] },
)
let isGone = false
child.once('exit', () => (isGone = true))
const agent = new Agent({ keepAlive: true, maxSockets: connections })

/** Sends one request. Resolves with its status and outcome, or with the code of the error. */
function send(port, { path, type, body }) {
  return new Promise((resolve) => {
    const bytes = Buffer.from(body)
    const headers = { 'Content-Type': type, 'Content-Length': bytes.length, 'X-Webhook-Secret': secret }
    const call = request({ port, host: '127.0.0.1', method: 'POST', path, headers, agent, timeout: 60_000 })
    call.on('response', (response) => {
      const chunks = []
      response.on('data', (chunk) => chunks.push(chunk)).on('error', ({ code }) => resolve({ status: code }))
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString()
        resolve({ status: response.statusCode, size: text.length, text })
      })
    })
    call.on('timeout', () => call.destroy(Object.assign(new Error('timeout'), { code: 'TIMEOUT' })))
    call.on('error', ({ code }) => resolve({ status: code ?? 'ERROR' }))
    call.end(bytes)
  })
}

const problems = []
const rows = []
let truths = 0
try {
  const [{ port }] = await once(child, 'message')
  const truth = () => {
    const params = { conversion: 'success', orderID: `T${truths++}`, referrer_email: 'r@shop.example' }
    return { path: '/webhook', type: 'application/x-www-form-urlencoded', body: new URLSearchParams(params).toString() }
  }
  for (const [kind, make] of Object.entries(kinds)) {
    const row = { kind, answers: {}, largestAnswer: 0, slowestTrueMs: 0, seconds: 0 }
    const startedAt = performance.now()
    let next = 0
    const work = async () => {
      while (next < each && !isGone) {
        const number = next++
        const { status, size = 0 } = await send(port, make(number))
        row.answers[status] = (row.answers[status] ?? 0) + 1
        row.largestAnswer = Math.max(row.largestAnswer, size)
        if (number % trueEvery > 0) continue
        const sentAt = performance.now()
        const answer = await send(port, truth())
        row.slowestTrueMs = Math.max(row.slowestTrueMs, Math.round(performance.now() - sentAt))
        if (answer.text !== '{"outcome":"accepted"}')
          problems.push(`${kind}: a valid callback was answered with ${answer.status}`)
      }
    }
    await Promise.all(Array.from({ length: connections }, work))
    row.seconds = Math.round((performance.now() - startedAt) / 100) / 10
    if (isGone) throw new Error(`the process ended: ${kind}`)
    child.send('stats')
    const [{ heapUsed, rss }] = await once(child, 'message')
    row.heapMB = Math.round(heapUsed / 1e6)
    row.rssMB = Math.round(rss / 1e6)
    row.diskMB = Math.round(readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0) / 1e6)
    if (row.largestAnswer > 8_192) problems.push(`${kind}: an answer of ${row.largestAnswer} bytes`)
    const broken = Object.keys(row.answers).filter((status) => !/^\d+$/.test(status))
    if (broken.length > 0) problems.push(`${kind}: ${broken}`)
    rows.push(row)
    if (!values.json) console.log(JSON.stringify(row))
  }
} catch (error) {
  problems.push(String(error))
} finally {
  agent.destroy()
  if (!isGone) {
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
  }
  rmSync(folder, { recursive: true, force: true })
}
const summary = { inbox: values.inbox, each, trueCallbacks: truths, problems: [...new Set(problems)].slice(0, 10) }
console.log(values.json ? JSON.stringify({ ...summary, rows }) : summary)
process.exitCode = problems.length === 0 ? 0 : 1
