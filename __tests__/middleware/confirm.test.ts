import type { Confirm } from '../../lib/index.js'
import { startApp } from '../support/app.js'
import { sampleConversion } from '../support/callbacks.js'
import { problemOf } from '../support/client.js'
import { recorder } from '../support/recorder.js'
import { closeServers } from '../support/servers.js'

/* The confirm option: asked in the delivery of success and goalComplete, before the handler. */

afterEach(closeServers)

/** An app whose confirm gives these answers in turn, the last one for ever; a function among them is called. */
async function startWith(answers: readonly unknown[], handlers = {}, options = {}) {
  const { handlers: all, told, events } = recorder()
  const asked: Parameters<Confirm>[] = []
  const errors: unknown[] = []
  const confirm = (...question: Parameters<Confirm>): unknown => {
    asked.push(question)
    const answer = answers[Math.min(asked.length, answers.length) - 1]
    return typeof answer === 'function' ? (answer as () => unknown)() : answer
  }
  const onError = (failure: unknown) => errors.push(failure)
  const app = await startApp({ ...all, onError, ...handlers }, { ...options, confirm: confirm as Confirm })
  return { ...app, told, events, asked, errors }
}

test('is asked once a delivery, with what the handler gets', async () => {
  const { call, asked, told } = await startWith([() => Promise.resolve(true)])
  expect((await call()).body).toBe('{"outcome":"accepted"}')
  expect(asked.map(([, { event }]) => event)).toEqual(['success', 'goalComplete'])
  expect(asked.map(([conversion]) => conversion)).toEqual(told.map(({ conversion }) => conversion))
  expect(asked.map(([, { id, attempt }]) => [id, attempt])).toEqual(told.map(({ context }) => [context.id, 1]))
  expect(asked[0]?.[0]).toMatchObject(sampleConversion)
})

test('is not asked about pending and fail', async () => {
  const { call, asked, events } = await startWith([false])
  await call({ conversion: 'pending' })
  await call({ conversion: 'fail' })
  expect(events()).toEqual(['pending', 'fail'])
  expect(asked).toEqual([])
})

test('false ends the delivery: nothing is paid, and a repeat is a duplicate that is not asked about', async () => {
  const { call, asked, events } = await startWith([false])
  expect((await call()).body).toBe('{"outcome":"accepted"}')
  expect((await call()).body).toBe('{"outcome":"duplicate"}')
  expect(asked).toHaveLength(2)
  expect(events()).toEqual([])
})

test('what it refused was never delivered: a fail takes nothing back, and a later success is asked about anew', async () => {
  const { call, told } = await startWith([false, false, true])
  await call()
  await call({ conversion: 'fail' })
  expect(told.map(({ event }) => event)).toEqual(['fail'])
  expect(told[0]?.context.id).toMatch(/:fail$/)
  expect(told[0]?.context.previous).toBeUndefined()
  expect((await call()).body).toBe('{"outcome":"accepted"}')
  expect(told.map(({ event }) => event)).toEqual(['fail', 'success', 'goalComplete'])
})

test('hold is answered with 503 in memory, until a repeat finds it confirmed', async () => {
  const { call, events, errors } = await startWith(['hold', 'hold', () => Promise.resolve('hold'), true])
  const reply = await call()
  expect(reply.headers['retry-after']).toBe('60')
  expect(problemOf(reply)).toEqual({
    type: 'urn:conversion-webhook:ERR_CONVERSION_DELIVERY_HELD',
    status: 503,
    title: 'The conversion is not confirmed yet',
    code: 'ERR_CONVERSION_DELIVERY_HELD',
  })
  expect((await call()).status).toBe(503)
  expect(events()).toEqual(['goalComplete'])
  expect((await call()).body).toBe('{"outcome":"accepted"}')
  expect(events()).toEqual(['goalComplete', 'success'])
  expect((await call()).body).toBe('{"outcome":"duplicate"}')
  expect(errors).toEqual([])
})

const error = new Error('the shop does not answer')

function notAnAnswer(what: string): TypeError {
  return new TypeError(`confirm answered ${what}; or 'hold', a Date or { order }.`)
}

function notAnOrder(what: string): TypeError {
  const rule = 'order is a string of 1 to 255 characters, a whole number or a bigint'
  return new TypeError(`confirm answered { order: ${what} }; ${rule}.`)
}

const noMemoryOfDates = new TypeError(
  'confirm answered a Date, for which memoryInbox() cannot wait: use a durable inbox.',
)

test.each([
  ['a throw', () => Promise.reject(error), error],
  [
    'a synchronous throw',
    () => {
      throw error
    },
    error,
  ],
  ['no answer', undefined, notAnAnswer('undefined: return true or false, and look for a forgotten return')],
  ['a truthy answer', 1, notAnAnswer('1: return true or false, such as row.paid === 1')],
  ['a misspelt answer', 'holds', notAnAnswer('a string: return true or false')],
  ['null', null, notAnAnswer('null: return true or false, such as row !== null')],
  ['an order that the shop does not know', { order: undefined }, notAnOrder('undefined')],
  ['an order with digits lost', { order: 2 ** 53 }, notAnOrder('9007199254740992')],
  ['a blank order', { order: ' ' }, notAnOrder('a string')],
  ['no date', new Date(NaN), new TypeError('confirm answered an invalid Date.')],
  [
    'a date in years',
    new Date(Date.now() + 401 * 86_400_000),
    new TypeError('confirm answered a Date more than 400 days ahead.'),
  ],
  ['a date, in memory', new Date(Date.now() + 1_000), noMemoryOfDates],
  ['a past date, in memory', new Date(0), noMemoryOfDates],
])('%s is a failed attempt, and a repeat asks again', async (_what, answer, expected) => {
  const { call, events, errors } = await startWith([answer, answer, true])
  expect(problemOf(await call())).toMatchObject({ status: 500, code: 'ERR_CONVERSION_CONFIRM_FAILED' })
  expect(events()).toEqual([])
  const ofEach = (['success', 'goalComplete'] as const).map((event) => {
    const id = expect.stringMatching(RegExp(`^[0-9a-f]{40}:${event}$`)) as string
    return { stage: 'confirm', error: expected, id, event, attempt: 1, orderId: 'ASDXXXXX' }
  })
  expect(errors).toEqual(ofEach)
  expect((await call()).body).toBe('{"outcome":"accepted"}')
  expect(events()).toEqual(['success', 'goalComplete'])
})

test('has the time of its handler and no more', async () => {
  const { call, events } = await startWith([() => new Promise(() => undefined)], {}, { handlerTimeoutMs: 10 })
  expect(problemOf(await call())).toMatchObject({ status: 500, code: 'ERR_CONVERSION_HANDLER_LATE' })
  expect(events()).toEqual([])
})

test('a yes that comes too late pays nothing', async () => {
  let signal: AbortSignal | undefined
  const late = () =>
    new Promise((resolve) => {
      signal?.addEventListener('abort', () => {
        resolve(true)
      })
    })
  const { handlers, events } = recorder()
  const confirm: Confirm = (_conversion, context) => {
    ;({ signal } = context)
    return late() as Promise<boolean>
  }
  const { call, webhook } = await startApp(handlers, { confirm, handlerTimeoutMs: 10 })
  expect((await call({ goal_complete: '0' })).status).toBe(500)
  await webhook.close()
  expect(events()).toEqual([])
})
