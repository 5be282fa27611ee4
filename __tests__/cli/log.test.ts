import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { Log } from '../../lib/cli/log.js'
import { parseCallback, type ConflictingCallback } from '../../lib/index.js'
import { params } from '../support/callbacks.js'

/** A log, and the lines that it has printed so far. */
function start() {
  const lines: Record<string, unknown>[] = []
  const out = { write: (text: string) => lines.push(JSON.parse(text) as Record<string, unknown>) }
  const io = { out, err: out, env: {}, ask: undefined, interrupted: new AbortController().signal }
  return { log: new Log(io, true), lines }
}

function conflict(id: string): ConflictingCallback {
  const read = parseCallback(params())
  if (!read.ok) throw new Error('not a callback')
  const differs = [{ parameter: 'referrer_email', recorded: 'anna@shop.example', received: 'example@gmail.com' }]
  return { id, conversion: read.conversion, recorded: { status: 'success', goalComplete: false }, differs }
}

/** An answer of which only the status is known. */
function answer(log: Log, status: number): void {
  const req = new IncomingMessage(new Socket())
  const res = new ServerResponse(req)
  log.watch(req, res)
  res.statusCode = status
  res.emit('finish')
}

test('a conflict is one line with the names of the parameters that differ, and its answer prints no other line', () => {
  const { log, lines } = start()
  log.handlers.onConflict?.(conflict('4c50:conflict:77'))
  answer(log, 409)
  expect(lines).toMatchObject([
    { what: 'conflict', about: 'success, recorded as success', message: 'differs in referrer_email' },
  ])
  expect(JSON.stringify(lines)).not.toContain('@')
})

test('a delivery whose order another claim has is printed as refused, and later answers are still printed', () => {
  const { log, lines } = start()
  log.handlers.onConflict?.(conflict('4c50:success'))
  answer(log, 400)
  expect(lines).toMatchObject([
    { what: 'refused', about: 'success, another claim has the order', message: 'differs in referrer_email' },
    { what: 'answered', status: 400 },
  ])
})
