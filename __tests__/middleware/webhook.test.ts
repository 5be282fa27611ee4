import { conversionWebhook, memoryInbox, type ConversionEvent } from '../../lib/index.js'
import { startApp } from '../support/app.js'
import { params, query, sampleConversion, secret } from '../support/callbacks.js'
import { problemOf } from '../support/client.js'
import { deferred, recorder } from '../support/recorder.js'
import { closeServers } from '../support/servers.js'

/* What the middleware can do besides being mounted: accept, on, inbox and close. */

afterEach(closeServers)

const code = (name: string) => expect.objectContaining({ code: name }) as Error

describe('accept', () => {
  function make(options = {}, handlers = {}) {
    const { handlers: all, told } = recorder()
    const observers = { onError: () => undefined, ...handlers }
    return { told, webhook: conversionWebhook({ ...all, ...observers }, { secret: false, ...options }) }
  }

  test.each([
    ['a record', params()],
    ['URLSearchParams', new URLSearchParams(params())],
    ['a URL', new URL(`https://shop.example/webhook${query()}`)],
    ['a query', query()],
    ['a query without its question mark', query().slice(1)],
    ['a path with a query', `/webhook${query()}`],
    [
      'values that were parsed from JSON',
      { ...params(), purchaseValue: 1000, referrer_converts: 2, goal_complete: true },
    ],
  ])('takes %s', async (_kind, input) => {
    const { webhook, told } = make()
    const first = await webhook.accept(input)
    expect(first).toEqual({ outcome: 'accepted', id: expect.stringMatching(/^[0-9a-f]{40}$/) as string })
    expect(told.map(({ event }) => event)).toEqual(['success', 'goalComplete'])
    expect(told[0]?.conversion).toEqual({ ...sampleConversion, receivedAt: expect.any(Date) as Date })
    expect(await webhook.accept(input)).toEqual({ ...first, outcome: 'duplicate' })
  })

  test('shares ledger and identity with callbacks that came over HTTP', async () => {
    const { call, webhook } = await startApp()
    await call()
    const { id } = await webhook.accept(params())
    expect(await webhook.accept(params({ conversion: 'pending' }))).toEqual({ outcome: 'stale', id })
    const conflict = await webhook.accept(params({ purchaseValue: '9' }))
    expect(conflict.outcome).toBe('conflict')
    expect((await webhook.inbox.get(conflict.id))?.params.purchaseValue).toBe('9')
    expect((await call()).body).toBe('{"outcome":"duplicate"}')
  })

  test('keeps what it refuses, and tells onRefused under the same id', async () => {
    const refused: unknown[] = []
    const { webhook } = make({}, { onRefused: (one: { id: string }) => refused.push(one.id) })
    const result = await webhook.accept({ conversion: 'maybe' })
    expect(result.outcome).toBe('refused')
    expect(refused).toEqual([result.id])
  })

  test('takes its scope from the call, else from the option', async () => {
    const { webhook, told } = make({ scope: 'summer' })
    await webhook.accept(query())
    expect(await webhook.accept(query(), { scope: 'winter' })).toMatchObject({ outcome: 'accepted' })
    expect(told.map(({ conversion }) => conversion.scope)).toEqual(['summer', 'summer', 'winter', 'winter'])
  })

  test('rejects options that cannot work', async () => {
    const { webhook } = make()
    const accept = (options: unknown) => webhook.accept(query(), options as { scope?: string })
    for (const options of [null, 'summer', { scope: 5 }, { scope: null }]) {
      await expect(accept(options)).rejects.toMatchObject({ code: 'ERR_CONVERSION_OPTION_INVALID' })
    }
    await expect(accept({ scop: 'x' })).rejects.toMatchObject({ code: 'ERR_CONVERSION_OPTION_UNKNOWN' })
    expect(await accept({ scope: undefined })).toMatchObject({ outcome: 'accepted' })
  })

  test('refuses what throws when it is read', async () => {
    const { webhook } = make()
    const unreadable = {
      get conversion() {
        throw new Error('no')
      },
    }
    expect(await webhook.accept(unreadable as never)).toMatchObject({ outcome: 'refused' })
  })

  test('asks for no credential and keeps none', async () => {
    const { webhook, told } = make({ secret })
    await webhook.accept(`/webhook?token=${secret}&${query().slice(1)}`)
    expect({ ...told[0]?.conversion.extra }).toEqual({})
  })

  test('rejects with a coded error where a handler failed', async () => {
    const cause = new Error('no stock')
    const { webhook } = make({}, { onSuccess: () => Promise.reject(cause) })
    await expect(webhook.accept(query())).rejects.toMatchObject({
      code: 'ERR_CONVERSION_HANDLER_FAILED',
      message: 'A handler failed',
      cause,
    })
  })
})

describe('on', () => {
  test('registers handlers that were left out, and can be chained', async () => {
    const { handlers, events } = recorder()
    const webhook = conversionWebhook({ onFail: handlers.onFail }, { secret: false })
    const same = webhook.on('success', handlers.onSuccess).on('goalComplete', handlers.onGoalComplete)
    expect(same).toBe(webhook)
    await webhook.accept(query())
    expect(events()).toEqual(['success', 'goalComplete'])
  })

  test('is in time for a callback that arrived in the same turn', async () => {
    const { handlers, events } = recorder()
    const webhook = conversionWebhook({}, { secret: false })
    const accepting = webhook.accept(query())
    await Promise.resolve()
    webhook.on('goalComplete', handlers.onGoalComplete)
    expect(await accepting).toMatchObject({ outcome: 'accepted' })
    expect(events()).toEqual(['goalComplete'])
  })

  test('refuses a second handler, an unknown event and what is no function', () => {
    const webhook = conversionWebhook({ onFail: () => undefined }, { secret: false })
    webhook.on('success', () => undefined)
    for (const event of ['success', 'fail'] as const) {
      expect(() => webhook.on(event, () => undefined)).toThrow(code('ERR_CONVERSION_HANDLER_DUPLICATE'))
    }
    const unknown = () => webhook.on('goalCompleted' as ConversionEvent, () => undefined)
    expect(unknown).toThrow(code('ERR_CONVERSION_EVENT_UNKNOWN'))
    expect(unknown).toThrow('There is no event goalCompleted; did you mean goalComplete?')
    expect(() => webhook.on('constructor' as ConversionEvent, () => undefined)).toThrow(
      code('ERR_CONVERSION_EVENT_UNKNOWN'),
    )
    expect(() => webhook.on('pending', 'log' as never)).toThrow(code('ERR_CONVERSION_HANDLER_INVALID'))
  })
})

test('inbox is the one in use', () => {
  const inbox = memoryInbox()
  expect(conversionWebhook({}, { secret: false, inbox }).inbox).toBe(inbox)
})

describe('close', () => {
  test('waits for what runs, and answers 503 meanwhile', async () => {
    const [started, gate] = [deferred(), deferred()]
    const { call, webhook } = await startApp({
      onSuccess: () => {
        started.resolve()
        return gate.promise
      },
    })
    const running = call({ goal_complete: '0' })
    await started.promise
    let isClosed = false
    const closing = webhook.close().then(() => {
      isClosed = true
    })
    const reply = await call({ orderID: 'B-2' })
    expect(problemOf(reply)).toMatchObject({ status: 503, code: 'ERR_CONVERSION_INBOX_CLOSED' })
    expect(reply.headers['retry-after']).toBe('60')
    expect((await call({ conversion: 'maybe' })).status).toBe(503)
    expect(isClosed).toBe(false)
    gate.resolve()
    await closing
    expect((await running).body).toBe('{"outcome":"accepted"}')
  })

  test('aborts what runs longer than closeTimeoutMs', async () => {
    const started = deferred<AbortSignal>()
    const { call, webhook } = await startApp(
      {
        onSuccess: (_conversion, { signal }) => {
          started.resolve(signal)
          return new Promise((_resolve, reject) => {
            signal.addEventListener('abort', () => {
              reject(signal.reason as Error)
            })
          })
        },
      },
      { closeTimeoutMs: 10 },
    )
    const running = call()
    const signal = await started.promise
    await webhook.close()
    expect(signal.reason).toEqual(code('ERR_CONVERSION_INBOX_CLOSED'))
    expect((await running).status).toBe(500)
  })

  test('may be called again, and before anything came', async () => {
    const webhook = conversionWebhook({}, { secret: false })
    await webhook.close()
    await expect(webhook.close()).resolves.toBeUndefined()
    await expect(webhook.accept(query())).rejects.toEqual(code('ERR_CONVERSION_INBOX_CLOSED'))
  })
})
