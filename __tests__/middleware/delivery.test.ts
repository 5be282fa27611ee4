import { conversionWebhook, type ConversionContext } from '../../lib/index.js'
import { startApp } from '../support/app.js'
import { query, sampleConversion } from '../support/callbacks.js'
import { problemOf, send } from '../support/client.js'
import { deferred, recorder } from '../support/recorder.js'
import { closeServers, frameworks, listen } from '../support/servers.js'

/* Steps 6 to 8 with the memory inbox: which handlers run, how often, and what the caller is told of it. */

afterEach(closeServers)

const accepted = '{"outcome":"accepted"}'
const duplicate = '{"outcome":"duplicate"}'
const goalOnly = { goal_complete: '0' }

describe.each(Object.entries(frameworks))('a callback under %s', (_name, mount) => {
  test('reaches success and goalComplete once, as a typed conversion', async () => {
    const { handlers, told } = recorder()
    const { port } = await listen(mount('/webhook', conversionWebhook(handlers, { secret: false })))
    const before = Date.now()
    expect((await send(port, `/webhook${query()}`)).body).toBe(accepted)
    expect((await send(port, `/webhook${query()}`)).body).toBe(duplicate)
    expect(told.map(({ event }) => event)).toEqual(['success', 'goalComplete'])
    for (const { conversion } of told) {
      const { receivedAt, ...rest } = conversion
      expect(rest).toEqual(sampleConversion)
      expect(receivedAt.getTime()).toBeGreaterThanOrEqual(before)
      expect(receivedAt.getTime()).toBeLessThanOrEqual(Date.now())
    }
  })
})

test('the context says which delivery it is, and nothing of a commit', async () => {
  const { handlers, told } = recorder()
  const { call } = await startApp(handlers)
  await call()
  for (const { context, event } of told) {
    const { signal, id, ...rest } = context
    expect(rest).toEqual({ event, attempt: 1 })
    expect(id).toMatch(new RegExp(`^[0-9a-f]{40}:${event}$`))
    expect(signal.aborted).toBe(false)
  }
  expect(told[0]?.context.id.split(':')[0]).toBe(told[1]?.context.id.split(':')[0])
})

test.each([
  ['rejects', () => Promise.reject(new Error('no stock'))],
  [
    'throws',
    () => {
      throw new Error('no stock')
    },
  ],
])('a handler that %s keeps no other from running, and a repeat runs only that one', async (_how, fail) => {
  const attempts: Pick<ConversionContext, 'event' | 'attempt' | 'id'>[] = []
  const errors: unknown[] = []
  const { call } = await startApp({
    onSuccess(_conversion, { event, attempt, id }) {
      attempts.push({ event, attempt, id })
      return attempt < 3 ? fail() : undefined
    },
    onGoalComplete: (_conversion, { event, attempt, id }) => void attempts.push({ event, attempt, id }),
    onError: (failure) => errors.push(failure),
  })
  expect((await call()).status).toBe(500)
  expect((await call()).status).toBe(500)
  expect((await call()).body).toBe(accepted)
  expect((await call()).body).toBe(duplicate)
  expect(attempts.map(({ event, attempt }) => `${event} ${String(attempt)}`)).toEqual([
    'success 1',
    'goalComplete 1',
    'success 2',
    'success 3',
  ])
  expect(new Set(attempts.map(({ id }) => id)).size).toBe(2)
  const failed = { stage: 'handler', error: new Error('no stock'), id: attempts[0]?.id, event: 'success' }
  expect(errors).toEqual([1, 2].map((attempt) => ({ ...failed, attempt, orderId: 'ASDXXXXX' })))
})

test('identical callbacks that arrive meanwhile share one run and its result', async () => {
  const [arrived, gate] = [deferred(), deferred()]
  let [arrivals, runs] = [0, 0]
  const { call } = await startApp(
    {
      async onGoalComplete() {
        runs++
        await gate.promise
        if (runs === 1) throw new Error('the first run fails for all of them')
      },
    },
    {},
    (app) =>
      app.use((_req, _res, next) => {
        next()
        if (++arrivals % 5 === 0) setImmediate(arrived.resolve)
      }),
  )
  const replies = Array.from({ length: 5 }, () => call())
  await arrived.promise
  gate.resolve()
  expect((await Promise.all(replies)).map(({ status }) => status)).toEqual([500, 500, 500, 500, 500])
  expect(runs).toBe(1)
  expect((await call()).body).toBe(accepted)
  expect(runs).toBe(2)
})

test('no more deliveries run at a time than concurrency allows', async () => {
  const gate = deferred()
  let [arrivals, running, most] = [0, 0, 0]
  const { call } = await startApp(
    {
      async onSuccess() {
        most = Math.max(most, ++running)
        await gate.promise
        running--
      },
    },
    { concurrency: 2 },
    (app) =>
      app.use((_req, _res, next) => {
        next()
        if (++arrivals === 8) setImmediate(gate.resolve)
      }),
  )
  const replies = await Promise.all(Array.from({ length: 8 }, (_, index) => call({ orderID: `A-${String(index)}` })))
  expect(replies.map(({ body }) => body)).toEqual(Array(8).fill(accepted))
  expect(most).toBe(2)
})

describe('a handler that does not finish in time', () => {
  test('is told by its signal, and the caller by a 500', async () => {
    let signal: AbortSignal | undefined
    const { call } = await startApp(
      {
        onSuccess: (_conversion, context) => {
          ;({ signal } = context)
          return new Promise((resolve) => {
            context.signal.addEventListener('abort', resolve)
          })
        },
      },
      { handlerTimeoutMs: 10 },
    )
    expect(problemOf(await call())).toMatchObject({ status: 500, code: 'ERR_CONVERSION_HANDLER_LATE' })
    expect(signal?.reason).toMatchObject({ code: 'ERR_CONVERSION_HANDLER_LATE' })
  })

  test('is not run again before it has ended, and its late success counts for nothing', async () => {
    const gate = deferred()
    const attempts: number[] = []
    const { call } = await startApp(
      {
        onSuccess(_conversion, { attempt }) {
          attempts.push(attempt)
          return attempt === 1 ? gate.promise : undefined
        },
      },
      { handlerTimeoutMs: 20 },
    )
    expect((await call()).status).toBe(500)
    expect((await call()).status).toBe(500)
    expect(attempts).toEqual([1])
    gate.resolve()
    expect((await call()).body).toBe(accepted)
    expect(attempts).toEqual([1, 2])
  })

  test('keeps the other deliveries of its conversion from running beside it, and no other conversion', async () => {
    const gate = deferred()
    const { handlers, events } = recorder()
    const { call } = await startApp(
      { ...handlers, onSuccess: (_conversion, { attempt }) => (attempt === 1 ? gate.promise : undefined) },
      { handlerTimeoutMs: 20 },
    )
    expect((await call()).status).toBe(500)
    expect((await call()).status).toBe(500)
    expect(events()).toEqual([])
    expect((await call({ orderID: 'B-2', conversion: 'pending' })).body).toBe(accepted)
    expect(events()).toEqual(['pending'])
    gate.resolve()
    expect((await call()).body).toBe(accepted)
    expect(events()).toEqual(['pending', 'goalComplete'])
  })
})

test('a fail after a delivered success is its reversal, and says what it takes back', async () => {
  const { handlers, told } = recorder()
  const { call } = await startApp(handlers)
  await call()
  expect((await call({ conversion: 'fail' })).body).toBe(accepted)
  const { event, context } = told.at(-1) ?? {}
  expect(event).toBe('fail')
  expect(context?.id).toMatch(/:reversal$/)
  expect(context?.previous).toEqual({ status: 'success', goalComplete: true })
  expect(problemOf(await call()).status).toBe(409)
})

test('a goal that a pending announced is due with the success', async () => {
  const { handlers, told } = recorder()
  const { call } = await startApp(handlers)
  expect((await call({ conversion: 'pending' })).body).toBe(accepted)
  expect((await call(goalOnly)).body).toBe(accepted)
  expect(told.map(({ event, conversion }) => `${event} ${String(conversion.goalComplete)}`)).toEqual([
    'pending true',
    'success false',
    'goalComplete true',
  ])
  expect(told[1]?.context.previous).toEqual({ status: 'pending', goalComplete: false })
})

test('a repeated success that says it for the first time completes the goal alone', async () => {
  const { handlers, events } = recorder()
  const { call } = await startApp(handlers)
  await call(goalOnly)
  expect((await call()).body).toBe(accepted)
  expect((await call()).body).toBe(duplicate)
  expect(events()).toEqual(['success', 'goalComplete'])
})

test('an event without a handler is settled at once', async () => {
  const { handlers, events } = recorder()
  const { call } = await startApp({ onGoalComplete: handlers.onGoalComplete })
  expect((await call({ conversion: 'pending' })).body).toBe(accepted)
  expect((await call({ conversion: 'pending' })).body).toBe(duplicate)
  expect((await call()).body).toBe(accepted)
  expect(events()).toEqual(['goalComplete'])
})

test('foreign status words and renamed parameters become documented ones', async () => {
  const { handlers, told } = recorder()
  const webhook = conversionWebhook(handlers, {
    secret: false,
    statuses: { approved: 'success', 'On Hold': 'pending' },
    fields: { conversion: 'state', orderID: ['order_no', 'orderNumber'] },
  })
  await webhook.accept('state=ON+HOLD&order_no=A-1&conversion=of-the-shop')
  await webhook.accept({ state: ' Approved ', orderNumber: 'A-1' })
  await webhook.accept({ state: 'fail', order_no: 'A-1', orderNumber: 'A-1' })
  expect(told.map(({ event, conversion }) => [event, conversion.orderId])).toEqual([
    ['pending', 'A-1'],
    ['success', 'A-1'],
    ['fail', 'A-1'],
  ])
  expect({ ...told[0]?.conversion.extra }).toEqual({ conversion: 'of-the-shop' })
  expect({ ...told[1]?.conversion.params }).toEqual({ conversion: ' Approved ', orderID: 'A-1' })
})

test('parseCustomValue runs when a callback is accepted and again at each delivery', async () => {
  const texts: string[] = []
  const values: unknown[] = []
  const webhook = conversionWebhook(
    { onSuccess: ({ referrer }) => values.push(referrer.customValue), onError: () => undefined },
    {
      secret: false,
      parseCustomValue(text: string) {
        texts.push(text)
        return { tier: Number(text) }
      },
    },
  )
  await webhook.accept(query({ referrer_customValue: '3', ...goalOnly }))
  expect(texts).toEqual(['3', '3'])
  expect(values).toEqual([{ tier: 3 }])
})
