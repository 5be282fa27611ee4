import { unkindErrors } from '../support/errors.js'
import type { Conversion } from '../../lib/index.js'
import { eventually, settled, workbench, type Kind } from './inboxes.js'

/** Recording and delivering: what every inbox does, before or after the answer. */
export function describeConversions(kind: Kind): void {
  const { start } = workbench(kind)

  test('a conversion reaches its handlers once, in order, and its repeats reach none', async () => {
    const { report, told, inbox } = await start()
    const first = await report('success', 'A', { goal_complete: '1' })
    expect(first).toEqual({ outcome: 'accepted', id: expect.stringMatching(/^[0-9a-f]{40}$/) as string })
    await settled(inbox)
    expect(await report('success', 'A', { goal_complete: '1' })).toEqual({ outcome: 'duplicate', id: first.id })
    expect(await report('pending', 'A')).toEqual({ outcome: 'stale', id: first.id })
    await settled(inbox)
    expect(told).toEqual([
      { event: 'success', id: `${first.id}:success`, attempt: 1, orderId: 'A' },
      { event: 'goalComplete', id: `${first.id}:goalComplete`, attempt: 1, orderId: 'A' },
    ])
  })

  test('a fail after a delivered success takes it back, under an id of its own', async () => {
    const { report, told, inbox } = await start()
    for (const status of ['pending', 'success', 'fail', 'fail', 'pending']) {
      await report(status, 'A')
      await settled(inbox)
    }
    expect(told.map(({ event, id, previous }) => [event, id.split(':')[1], previous])).toEqual([
      ['pending', 'pending', undefined],
      ['success', 'success', { status: 'pending', goalComplete: false }],
      ['fail', 'reversal', { status: 'success', goalComplete: false }],
    ])
    expect((await inbox.stats()).callbacks).toEqual({ accepted: 3, duplicate: 1, stale: 1, conflict: 0, refused: 0 })
  })

  test('the same callback a hundred times at once is delivered once', async () => {
    const { report, told, inbox } = await start()
    const results = await Promise.all(Array.from({ length: 100 }, () => report('success', 'A')))
    expect(new Set(results.map(({ id }) => id)).size).toBe(1)
    await settled(inbox)
    expect(told.map(({ event }) => event)).toEqual(['success'])
    expect(await report('success', 'A')).toMatchObject({ outcome: 'duplicate' })
  })

  test('of two successes at the same time with different amounts one is accepted, and the other is a conflict', async () => {
    const { report, told, inbox } = await start()
    const results = await Promise.all(
      ['5', '6'].map((purchaseValue) => report('success', 'A', { purchaseValue }).then(({ outcome }) => outcome)),
    )
    expect(results.sort()).toEqual(['accepted', 'conflict'])
    await settled(inbox)
    expect(told).toHaveLength(1)
    expect(await inbox.list({ state: 'conflict' })).toHaveLength(1)
  })

  test('an event without a handler is settled at once', async () => {
    const { report, told, inbox } = await start({ on: ['onSuccess'] })
    await report('pending', 'A')
    await settled(inbox)
    expect((await inbox.stats()).deliveries).toMatchObject({ done: 1, waiting: 0 })
    await report('success', 'A')
    await settled(inbox)
    expect(told).toHaveLength(1)
  })

  test('many conversions at once are all delivered, at most as many at a time as the concurrency', async () => {
    let running = 0
    let most = 0
    const handle = async (): Promise<void> => {
      most = Math.max(most, ++running)
      await new Promise(setImmediate)
      running--
    }
    const { report, told, inbox } = await start({ handle, concurrency: 3 })
    const orders = Array.from({ length: 60 }, (_each, index) => `order ${String(index)}`)
    await Promise.all(orders.map((order) => report('success', order)))
    await settled(inbox)
    expect(told.map(({ orderId }) => orderId).sort()).toEqual([...orders].sort())
    expect(most).toBe(3)
  })

  test('a delivery whose handler throws any value is recorded as failed, and succeeds when it is replayed', async () => {
    const unkind = unkindErrors()
    const thrown = new Set<string>()
    const { report, inbox, told } = await start({
      handle: ({ orderId = '' }) => {
        if (thrown.has(orderId)) return
        thrown.add(orderId)
        throw unkind[Number(orderId)]
      },
      maxAttempts: 1,
    })
    for (const orderID of unkind.keys()) {
      await report('success', String(orderID)).catch((error: unknown) => {
        expect(error).toMatchObject({ code: 'ERR_CONVERSION_HANDLER_FAILED' })
      })
    }
    const failed = kind.isDurable ? 'dead' : 'waiting'
    const rows = await eventually(
      () => inbox.list({ state: failed }),
      ({ length }) => length === unkind.length,
    )
    for (const { id } of rows) await inbox.replay(id)
    await settled(inbox)
    expect((await inbox.stats()).deliveries).toMatchObject({ done: unkind.length, dead: 0, running: 0 })
    expect(told).toHaveLength(2 * unkind.length)
  })

  test('what a conversion shares with the recorded callback is frozen wherever it is seen, also after a replay', async () => {
    const seen: (Conversion<unknown> | undefined)[] = []
    const see = (conversion: Conversion<unknown>): boolean => seen.push(conversion) > 0
    const { report, inbox } = await start({
      on: [],
      observers: {
        onSuccess: see,
        onGoalComplete: see,
        onFail: see,
        onConflict: ({ conversion }) => see(conversion),
      },
      confirm: see,
    })
    const texts = { goal_complete: '1', campaign: 'spring', referrer_email: 'a b@c.example' }
    await report('success', 'A', texts)
    await settled(inbox)
    const conflicts = [
      await report('success', 'A', { ...texts, purchaseValue: '7' }),
      await report('fail', 'A', { ...texts, referee_email: undefined }),
    ]
    expect(conflicts.map(({ outcome }) => outcome)).toEqual(['conflict', 'conflict'])
    const list = async () => (await inbox.list()).map(({ conversion }) => conversion)
    seen.push(...(await list()))
    for (const { id } of conflicts) {
      await inbox.replay(id)
      await settled(inbox)
    }
    seen.push(...(await list()))
    const unfrozen = seen.filter((conversion) => {
      const { params, extra, repairs = [] } = conversion ?? {}
      return ![params, extra, repairs, ...repairs].every((each) => Object.isFrozen(each))
    })
    expect(unfrozen).toEqual([])
    expect(seen.map((conversion) => [conversion?.extra.campaign, conversion?.repairs.length])).toEqual(
      seen.map(() => ['spring', 1]),
    )
    expect(seen.filter((conversion) => conversion?.purchaseValue === 7).length).toBeGreaterThan(4)
    expect(seen.some((conversion) => conversion?.status === 'fail')).toBe(true)
  })

  test('after close nothing is recorded', async () => {
    const { report, webhook } = await start()
    await webhook.close()
    await expect(report('success', 'A')).rejects.toMatchObject({ code: 'ERR_CONVERSION_INBOX_CLOSED', status: 503 })
    await expect(webhook.accept('conversion=x')).rejects.toMatchObject({ code: 'ERR_CONVERSION_INBOX_CLOSED' })
    expect(webhook.close()).toBe(webhook.close())
  })

  test('close waits for running handlers, and their deliveries stay settled', async () => {
    let finish = (): void => undefined
    const handle = () =>
      new Promise<void>((resolve) => {
        finish = resolve
      })
    const { report, toldTimes, webhook, storage } = await start({ handle })
    const answer = report('success', 'A').catch(() => undefined)
    await toldTimes(1)
    const closed = webhook.close()
    finish()
    await closed
    await answer
    if (!kind.isDurable) return
    const again = await start({ storage })
    expect(await again.report('success', 'A')).toMatchObject({ outcome: 'duplicate' })
    expect((await again.inbox.stats()).deliveries).toMatchObject({ done: 1, running: 0, waiting: 0 })
    expect(again.told).toEqual([])
  })

  test('a no of confirm ends the delivery unpaid, so that a later fail takes nothing back', async () => {
    const { report, told, inbox } = await start({ confirm: () => false })
    await report('success', 'A')
    await settled(inbox)
    expect((await inbox.list()).map(({ state, event }) => [state, event])).toEqual([['refused', 'success']])
    await report('fail', 'A')
    await eventually(
      () => inbox.stats(),
      ({ deliveries }) => deliveries.done === 1,
    )
    expect(told.map(({ id }) => id.split(':')[1])).toEqual(['fail'])
  })
}
