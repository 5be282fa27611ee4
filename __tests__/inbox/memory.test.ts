import { setTimeout } from 'node:timers/promises'
import {
  conversionWebhook,
  type Conversion,
  type ConversionContext,
  type ConversionHandlers,
  type ConversionWebhookOptions,
} from '../../lib/index.js'
import { params } from '../support/callbacks.js'
import { deferred, recorder } from '../support/recorder.js'

/* The memory inbox behind a webhook: what handlers get, and what follows when they fail. */

function start(handlers: ConversionHandlers, options: ConversionWebhookOptions = {}) {
  const webhook = conversionWebhook({ onError: () => undefined, ...handlers }, { secret: false, ...options })
  const report = (conversion: string, changes: Record<string, string | undefined> = {}) =>
    webhook.accept(params({ conversion, goal_complete: '0', ...changes }))
  return { webhook, report }
}

/** A handler that fails the first times. */
function failing(times: number) {
  const contexts: ConversionContext[] = []
  const handler = (_conversion: Conversion, context: ConversionContext): void => {
    contexts.push(context)
    if (contexts.length <= times) throw new Error(`failure ${String(contexts.length)} of ${context.event}`)
  }
  return { handler, contexts }
}

const brief = ({ event, id, attempt, previous }: ConversionContext) => ({ event, id, attempt, previous })
const handlerFailed = { code: 'ERR_CONVERSION_HANDLER_FAILED', status: 500 }

describe('a callback', () => {
  test('is frozen where handlers and observers share it, so that no one sees what another one changes', async () => {
    const seen: unknown[] = []
    const spoil = (conversion: Conversion): void => {
      seen.push(structuredClone([conversion.params, { ...conversion.extra }, conversion.repairs, conversion.referrer]))
      const { params, extra, repairs } = conversion as unknown as Record<string, Record<string, string>>
      expect(() => Object.assign(params ?? {}, { orderID: 'stolen' })).toThrow(TypeError)
      expect(() => Object.assign(extra ?? {}, { campaign: 'stolen' })).toThrow(TypeError)
      expect(() => (repairs as unknown as unknown[]).pop()).toThrow(TypeError)
      Object.assign(conversion.referrer, { email: 'stolen' })
    }
    const { webhook } = start({ onSuccess: spoil, onGoalComplete: spoil })
    const input = { ...params(), campaign: 'spring', referrer_email: 'a b@c.example' }
    await webhook.accept(input)
    expect(seen).toHaveLength(2)
    expect(seen[1]).toEqual(seen[0])
    expect(seen[0]).toMatchObject([
      { orderID: 'ASDXXXXX' },
      { campaign: 'spring' },
      [{ kind: 'plus' }],
      { email: 'a+b@c.example' },
    ])
    const [row] = await webhook.inbox.list()
    expect(row).toMatchObject({ params: { orderID: 'ASDXXXXX' } })
  })

  test('keeps its status before a delivery, and why it is in quarantine, whatever a handler and a listing do with them', async () => {
    const seen: unknown[] = []
    const { webhook, report } = start({
      onSuccess: (_conversion, { previous }) => {
        seen.push({ ...previous })
        Object.assign(previous ?? {}, { status: 'success' })
        if (seen.length === 1) throw new Error('try again')
      },
      onError: () => undefined,
    })
    await report('pending')
    await expect(report('success')).rejects.toMatchObject(handlerFailed)
    await report('success')
    expect(seen).toEqual([1, 2].map(() => ({ status: 'pending', goalComplete: false })))

    expect(await report('success', { purchaseValue: '7' })).toMatchObject({ outcome: 'conflict' })
    for (let times = 0; times < 2; times++) expect(await report('maybe')).toMatchObject({ outcome: 'refused' })
    const kept = (await webhook.inbox.list()).flatMap(({ differs = [], issues = [] }) => [...differs, ...issues])
    expect(kept).toHaveLength(2)
    for (const each of kept) expect(() => Object.assign(each, { parameter: 'orderID' })).toThrow(TypeError)
  })

  test('is answered after its handlers ran, with the id that they got', async () => {
    const { told, handlers } = recorder()
    const { report } = start(handlers)
    const { outcome, id } = await report('success', { goal_complete: '1' })
    expect(outcome).toBe('accepted')
    expect(id).toMatch(/^[0-9a-f]{40}$/)
    expect(told.map(({ context }) => brief(context))).toEqual([
      { event: 'success', id: `${id}:success`, attempt: 1, previous: undefined },
      { event: 'goalComplete', id: `${id}:goalComplete`, attempt: 1, previous: undefined },
    ])
    expect(told[0]?.context).not.toHaveProperty('commit')
  })

  test('whose goal an earlier pending reported reaches the goal handler with goalComplete true', async () => {
    const { told, handlers } = recorder()
    const { report } = start(handlers)
    await report('pending', { goal_complete: '1' })
    await report('success')
    expect(told.map(({ event, conversion }) => [event, conversion.goalComplete])).toEqual([
      ['pending', true],
      ['success', false],
      ['goalComplete', true],
    ])
  })

  test('is a duplicate when it comes again, and calls no handler', async () => {
    const { events, handlers } = recorder()
    const { report } = start(handlers)
    const first = await report('success')
    expect(await report('success')).toEqual({ outcome: 'duplicate', id: first.id })
    expect(events()).toEqual(['success'])
  })

  test('whose event has no handler is settled at once', async () => {
    const { report } = start({})
    expect((await report('pending')).outcome).toBe('accepted')
    expect((await report('pending')).outcome).toBe('duplicate')
    expect((await report('success', { goal_complete: '1' })).outcome).toBe('accepted')
    expect((await report('success', { goal_complete: '1' })).outcome).toBe('duplicate')
  })

  test('that arrives before a handler is registered in the same turn still reaches it', async () => {
    const { events, handlers } = recorder()
    const { webhook, report } = start({})
    const accepted = report('success')
    webhook.on('success', handlers.onSuccess)
    await accepted
    expect(events()).toEqual(['success'])
  })
})

describe('a handler that fails', () => {
  test('fails the callback; a repeat runs only the unsettled delivery, under the same id', async () => {
    const success = failing(1)
    const goal = failing(0)
    const { report } = start({ onSuccess: success.handler, onGoalComplete: goal.handler })
    const failure = report('success', { goal_complete: '1' })
    await expect(failure).rejects.toMatchObject({ ...handlerFailed, cause: { message: 'failure 1 of success' } })
    expect((await report('success', { goal_complete: '1' })).outcome).toBe('accepted')
    expect((await report('success', { goal_complete: '1' })).outcome).toBe('duplicate')
    expect(success.contexts.map(({ attempt }) => attempt)).toEqual([1, 2])
    expect(new Set(success.contexts.map(({ id }) => id)).size).toBe(1)
    expect(goal.contexts).toHaveLength(1)
  })

  test('does not prevent the handler of the other event, and both failures are reported', async () => {
    const { report } = start({ onSuccess: failing(1).handler, onGoalComplete: failing(1).handler })
    await expect(report('success', { goal_complete: '1' })).rejects.toMatchObject({
      ...handlerFailed,
      cause: { errors: [{ message: 'failure 1 of success' }, { message: 'failure 1 of goalComplete' }] },
    })
  })

  test('is retried by a repeat that reports the goal for the first time', async () => {
    const success = failing(1)
    const { events, handlers } = recorder()
    const { report } = start({ onSuccess: success.handler, onGoalComplete: handlers.onGoalComplete })
    await expect(report('success')).rejects.toMatchObject(handlerFailed)
    expect((await report('success', { goal_complete: '1' })).outcome).toBe('accepted')
    expect(success.contexts).toHaveLength(2)
    expect(events()).toEqual(['goalComplete'])
  })

  test('is answered with 200 once its delivery was overtaken', async () => {
    const pending = failing(99)
    const success = failing(1)
    const { report } = start({ onPending: pending.handler, onSuccess: success.handler })
    await expect(report('pending')).rejects.toMatchObject(handlerFailed)
    await expect(report('success')).rejects.toMatchObject(handlerFailed)
    expect((await report('success')).outcome).toBe('accepted')
    expect((await report('success')).outcome).toBe('duplicate')
    expect(pending.contexts).toHaveLength(2)
  })
})

describe('a fail', () => {
  test('withdraws a success that waits; a later success brings it back under its id', async () => {
    const success = failing(1)
    const { told, handlers } = recorder()
    const { report } = start({ onSuccess: success.handler, onFail: handlers.onFail })
    await expect(report('success')).rejects.toMatchObject(handlerFailed)
    const { id } = await report('fail')
    await report('success')
    expect(told.map(({ context }) => brief(context))).toEqual([
      { event: 'fail', id: `${id}:fail`, attempt: 1, previous: undefined },
    ])
    expect(success.contexts.map(brief)).toEqual([
      { event: 'success', id: `${id}:success`, attempt: 1, previous: undefined },
      { event: 'success', id: `${id}:success`, attempt: 1, previous: { status: 'fail', goalComplete: false } },
    ])
  })

  test('after a delivered success is the reversal, once', async () => {
    const { told, handlers } = recorder()
    const { report } = start(handlers)
    const { id } = await report('success', { goal_complete: '1' })
    await report('fail')
    expect((await report('fail')).outcome).toBe('duplicate')
    expect(told.slice(2).map(({ context }) => brief(context))).toEqual([
      { event: 'fail', id: `${id}:reversal`, attempt: 1, previous: { status: 'success', goalComplete: true } },
    ])
  })

  describe('that arrives while the success runs', () => {
    /** What the fail's handler got, once the success has ended. */
    async function race(end: 'works' | 'fails') {
      const started = deferred()
      const running = deferred()
      const { told, handlers } = recorder()
      const onSuccess = () => {
        started.resolve()
        return running.promise
      }
      const { report } = start({ onFail: handlers.onFail, onSuccess })
      const success = report('success')
      await started.promise
      const fail = report('fail')
      if (end === 'works') running.resolve()
      else running.reject(new Error('a handler that fails'))
      const results = await Promise.allSettled([success, fail])
      return {
        results: results.map(({ status }) => status),
        told: told.map(({ context: { id, previous } }) => [id.split(':')[1], previous]),
      }
    }

    test('waits for it and then takes it back', async () => {
      expect(await race('works')).toEqual({
        results: ['fulfilled', 'fulfilled'],
        told: [['reversal', { status: 'success', goalComplete: false }]],
      })
    })

    test('is a plain one when the success failed', async () => {
      expect(await race('fails')).toEqual({
        results: ['rejected', 'fulfilled'],
        told: [['fail', undefined]],
      })
    })
  })
})

describe('callbacks at the same time', () => {
  test('that are alike share one run and its result', async () => {
    const running = deferred()
    let calls = 0
    const onSuccess = () => {
      calls++
      return running.promise
    }
    const { report } = start({ onSuccess })
    const reports = [report('success'), report('success'), report('success')]
    running.resolve()
    expect((await Promise.all(reports)).map(({ outcome }) => outcome)).toEqual(['accepted', 'accepted', 'accepted'])
    expect(calls).toBe(1)
  })

  test('that are alike share one failure', async () => {
    const success = failing(1)
    const { report } = start({ onSuccess: success.handler })
    const results = await Promise.allSettled([report('success'), report('success')])
    expect(results).toMatchObject([
      { status: 'rejected', reason: handlerFailed },
      { status: 'rejected', reason: handlerFailed },
    ])
    expect(success.contexts).toHaveLength(1)
  })

  test('wait for each other though a handler sent one of them itself before it failed', async () => {
    const others = deferred()
    let running = 0
    let most = 0
    const track = (handle: () => unknown) => async (conversion: Conversion) => {
      if (conversion.orderId !== 'A') return others.promise
      most = Math.max(most, ++running)
      try {
        await handle()
        await setTimeout(10)
      } finally {
        running--
      }
    }
    const replies: Promise<unknown>[] = []
    const send = (conversion: string, orderID: string): void => {
      replies.push(report(conversion, { orderID }).catch((error: unknown) => error))
    }
    let isFirst = true
    const onPending = track(async () => {
      if (!isFirst) return
      isFirst = false
      send('pending', 'A')
      await setTimeout(10)
      throw new Error('first')
    })
    const { report } = start({ onPending, onSuccess: track(() => undefined) }, { concurrency: 2 })
    await setTimeout(1)
    send('pending', 'A') // takes one slot; the callback that its handler sends waits for it
    send('success', 'Z') // the other slot
    send('success', 'Y') // waits for a slot
    send('success', 'A')
    await setTimeout(50)
    others.resolve()
    await Promise.all(replies)
    expect(most).toBe(1)
  })

  test('are delivered where the app has replaced the global Promise', async () => {
    const Native = Promise
    globalThis.Promise = class Replaced<T> extends Native<T> {}
    try {
      const told: string[] = []
      const handler = async (_conversion: Conversion, { event }: ConversionContext): Promise<void> => {
        await setTimeout(5)
        told.push(event)
      }
      const { report } = start({ onPending: handler, onSuccess: handler, onFail: handler })
      const replies = await Native.all(['pending', 'success', 'success', 'fail'].map((status) => report(status)))
      expect(replies.map(({ outcome }) => outcome)).toEqual(['accepted', 'accepted', 'accepted', 'accepted'])
      expect(told).toEqual(['pending', 'fail']) // the fail overtakes the success
    } finally {
      globalThis.Promise = Native
    }
  })

  test('that share a reversal while it runs share its failure', async () => {
    const [succeeding, succeeded, failing, failed] = [deferred(), deferred(), deferred(), deferred()]
    let calls = 0
    const { report } = start({
      onSuccess: () => {
        succeeding.resolve()
        return succeeded.promise
      },
      onFail: () => {
        calls++
        failing.resolve()
        return failed.promise
      },
    })
    const reports = [report('success')]
    await succeeding.promise
    reports.push(report('fail'))
    succeeded.resolve()
    await failing.promise
    reports.push(report('fail'))
    failed.reject(new Error('a handler that fails'))
    const results = await Promise.allSettled(reports)
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected'])
    expect(calls).toBe(1)
  })
})

describe('confirm', () => {
  test("'hold' is 503 with Retry-After, and a repeat asks again", async () => {
    const answers = ['hold', true] as const
    let asked = 0
    const { events, handlers } = recorder()
    const { report, webhook } = start(handlers, { confirm: () => answers[asked++] ?? false })
    await expect(report('success')).rejects.toMatchObject({
      code: 'ERR_CONVERSION_DELIVERY_HELD',
      status: 503,
      headers: { 'Retry-After': expect.stringMatching(/^\d+$/) as string },
    })
    expect(events()).toEqual([])
    expect(await webhook.inbox.stats()).toMatchObject({ deliveries: { waiting: 0, held: 1 }, oldestWaitingMs: 0 })
    expect((await report('success')).outcome).toBe('accepted')
    expect(events()).toEqual(['success'])
    expect(asked).toBe(2)
    expect((await webhook.inbox.stats()).deliveries).toMatchObject({ held: 0, done: 1 })
  })

  test('a failure counts more than a hold', async () => {
    const { report } = start(
      { onGoalComplete: failing(1).handler, onSuccess: () => undefined },
      { confirm: (_conversion, { event }) => (event === 'success' ? 'hold' : true) },
    )
    await expect(report('success', { goal_complete: '1' })).rejects.toMatchObject(handlerFailed)
  })

  test('false settles the delivery, which then was never delivered', async () => {
    const { told, handlers } = recorder()
    const { report } = start(handlers, { confirm: () => false })
    expect((await report('success')).outcome).toBe('accepted')
    expect((await report('success')).outcome).toBe('duplicate')
    const { id } = await report('fail')
    expect(told.map(({ context }) => brief(context))).toEqual([
      { event: 'fail', id: `${id}:fail`, attempt: 1, previous: undefined },
    ])
  })
})
