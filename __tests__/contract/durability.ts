import type { ConversionContext } from '../../lib/index.js'
import { deferred } from '../support/recorder.js'
import { eventually, settled, workbench, type Kind, type Storage } from './inboxes.js'

/** Promises of durable inboxes only. */
export function describeDurability(kind: Kind): void {
  const { start, newStorage } = workbench(kind)
  const failing = (times: number) => {
    let count = 0
    return () => {
      if (++count <= times) throw new Error(`failure ${String(count)}`)
    }
  }
  const effectOf =
    ({ effect }: Storage, then?: () => void) =>
    ({ id }: { id: string }, context: ConversionContext) =>
      effect?.(context, id, then)

  test('the answer does not wait for the handler', async () => {
    const gate = deferred()
    const { report, toldTimes, inbox } = await start({ handle: () => gate.promise })
    expect(await report('success', 'A')).toMatchObject({ outcome: 'accepted' })
    await toldTimes(1)
    expect((await inbox.stats()).deliveries).toMatchObject({ running: 1 })
    gate.resolve()
    await settled(inbox)
  })

  test('a delivery that fails is retried without a repeat, under the same id', async () => {
    const { report, told, inbox } = await start({ handle: failing(1) })
    const { id } = await report('success', 'A')
    await settled(inbox)
    expect(told).toMatchObject([
      { id: `${id}:success`, attempt: 1 },
      { id: `${id}:success`, attempt: 2 },
    ])
    const entry = await inbox.get(`${id}:success`)
    expect(entry?.history.map(({ what, attempt, message }) => [what, attempt, message])).toEqual([
      ['recorded', undefined, undefined],
      ['failed', 1, 'failure 1'],
      ['done', undefined, undefined],
    ])
  })

  test.each([1, 3, 100])('a backlog is delivered without waiting for a poll, %d at a time', async (concurrency) => {
    const { storage, report, webhook: receiver } = await start({ on: [] })
    const count = 3 * concurrency
    await Promise.all(Array.from({ length: count }, (_, index) => report('success', String(index))))
    await receiver.close()
    const everySecond = 1_000
    const setEvery = globalThis.setInterval
    const never = 3_600_000
    const polls = jest
      .spyOn(globalThis, 'setInterval')
      .mockImplementation((run, ms = 0, ...rest) => setEvery(run, ms < everySecond ? never : ms, ...rest))
    try {
      const { inbox, toldTimes } = await start({ storage, concurrency, on: ['onSuccess'] })
      await toldTimes(count)
      await settled(inbox)
    } finally {
      polls.mockRestore()
    }
  })

  test('a delivery that used up its attempts is dead, reported to onDead, listed, and replayed under the same id', async () => {
    const dead = deferred<unknown>()
    const { report, told, inbox, toldTimes } = await start({
      handle: failing(1),
      maxAttempts: 1,
      observers: { onDead: (what) => dead.resolve(what) },
    })
    const { id } = await report('success', 'A')
    expect(await dead.promise).toMatchObject({
      id: `${id}:success`,
      event: 'success',
      attempts: 1,
      conversion: { orderId: 'A' },
      error: { message: 'failure 1' },
    })
    expect(await inbox.list({ state: 'dead' })).toMatchObject([{ id: `${id}:success`, attempts: 1 }])
    await inbox.replay(`${id}:success`)
    await toldTimes(2)
    await settled(inbox)
    expect(told.map((each) => each.id)).toEqual([`${id}:success`, `${id}:success`])
    expect((await inbox.stats()).deliveries).toMatchObject({ dead: 0, done: 1 })
  })

  test('a dead delivery that was overtaken is withdrawn by a replay instead of delivered', async () => {
    const { report, told, inbox } = await start({
      handle: ({ event }) => {
        if (event === 'pending') throw new Error('no')
      },
      maxAttempts: 1,
    })
    const { id } = await report('pending', 'A')
    await settled(inbox)
    await report('success', 'A')
    await settled(inbox)
    await inbox.replay(`${id}:pending`)
    await eventually(
      () => inbox.get(`${id}:pending`),
      (entry) => entry?.state === 'withdrawn',
    )
    expect(told.map(({ event }) => event)).toEqual(['pending', 'success'])
  })

  test('a delivery that waits for a retry does not delay the other deliveries of its claim', async () => {
    const { report, told, inbox, toldTimes } = await start({
      handle: ({ event, attempt }) => {
        if (event === 'success' && attempt === 1) throw new Error('not yet')
      },
    })
    await report('success', 'A', { goal_complete: '1' })
    await toldTimes(3)
    await settled(inbox)
    expect(told.map(({ event, attempt }) => [event, attempt])).toEqual([
      ['success', 1],
      ['goalComplete', 1],
      ['success', 2],
    ])
  })

  test('a held delivery is retried without using up attempts, and is dead after maxHoldMs', async () => {
    const answers: (boolean | 'hold')[] = ['hold', true]
    const { report, told, inbox } = await start({ confirm: () => answers.shift() ?? 'hold', maxAttempts: 1 })
    await report('success', 'A')
    await settled(inbox)
    expect(told).toMatchObject([{ event: 'success', attempt: 1 }])
    const [row] = await inbox.list()
    const { history = [] } = (await inbox.get(row?.id ?? '')) ?? {}
    expect(row?.attempts).toBe(1)
    expect(history.map(({ what, attempt }) => [what, attempt])).toEqual([
      ['recorded', undefined],
      ['held', undefined],
      ['done', undefined],
    ])
    const impatient = await start({ confirm: () => 'hold', maxHoldMs: 1 })
    await impatient.report('success', 'A')
    await settled(impatient.inbox)
    expect(await impatient.inbox.list()).toMatchObject([
      { state: 'dead', attempts: 0, lastError: { code: 'ERR_CONVERSION_DELIVERY_HELD' } },
    ])
    expect(impatient.told).toEqual([])
  })

  test('a process without handlers only records; another process delivers', async () => {
    const storage = await newStorage()
    const receiver = await start({ storage, on: [] })
    const { id } = await receiver.report('success', 'A')
    await receiver.webhook.accept('conversion=nonsense')
    expect((await receiver.inbox.stats()).deliveries).toMatchObject({ waiting: 1 })
    const [deliverer, other] = [await start({ storage }), await start({ storage })]
    await settled(receiver.inbox)
    await receiver.report('success', 'B')
    await settled(receiver.inbox)
    const told = [...deliverer.told, ...other.told]
    expect(told.map(({ orderId }) => orderId).sort()).toEqual(['A', 'B'])
    expect(told.find(({ orderId }) => orderId === 'A')?.id).toBe(`${id}:success`)
    expect(await deliverer.report('success', 'A')).toEqual({ outcome: 'duplicate', id })
  })

  test('a delivery that waits when a process closes is delivered by the next process', async () => {
    const storage = await newStorage()
    const gate = deferred()
    const first = await start({ storage, concurrency: 1, handle: () => gate.promise })
    await Promise.all(['A', 'B', 'C'].map((order) => first.report('success', order)))
    await first.toldTimes(1)
    const closed = first.webhook.close()
    gate.resolve()
    await closed
    expect(first.told).toHaveLength(1)
    const second = await start({ storage })
    await settled(second.inbox)
    expect([...first.told, ...second.told].map(({ orderId }) => orderId).sort()).toEqual(['A', 'B', 'C'])
  })

  test('a refused callback is replayed after a restart with other statuses, fields and schema', async () => {
    const storage = await newStorage()
    const before = await start({ storage, schema: { required: ['campaign'] } })
    const { outcome, id } = await before.webhook.accept('conversion=approved&order=A&referee_email=a@shop.example')
    expect(outcome).toBe('refused')
    await before.webhook.close()
    const after = await start({ storage, statuses: { approved: 'success' }, fields: { orderID: 'order' } })
    await after.inbox.replay(id)
    await after.toldTimes(1)
    await settled(after.inbox)
    expect(after.told).toMatchObject([{ event: 'success', orderId: 'A' }])
    expect(await after.inbox.get(id)).toMatchObject({ state: 'done', params: { conversion: 'approved', order: 'A' } })
  })

  test('a waiting delivery is retried at once when it is replayed', async () => {
    const { report, told, inbox } = await start({ handle: failing(3), maxAttempts: 5 })
    const { id } = await report('success', 'A')
    for (const attempts of [1, 2]) {
      await eventually(
        () => inbox.get(`${id}:success`),
        (entry) => entry?.state === 'waiting' && told.length === attempts,
      )
      await inbox.replay(`${id}:success`)
    }
    await settled(inbox)
    expect(told.map(({ attempt }) => attempt)).toEqual([1, 1, 1, 2])
  })

  describe('commit', () => {
    test('commits the effect together with the delivery, and resolves with what the function returned', async () => {
      const storage = await newStorage()
      let value: unknown
      const { report, told, inbox } = await start({
        storage,
        handle: async ({ id }, context) => {
          value = await storage.effect?.(context, id)
        },
      })
      const { id } = await report('success', 'A')
      await settled(inbox)
      expect(value).toBe(`${id}:success`)
      expect(await storage.effects?.(`${id}:success`)).toBe(1)
      expect(told).toHaveLength(1)
    })

    test('rolls the effect back when the function throws, and the delivery is retried', async () => {
      const storage = await newStorage()
      const { report, told, inbox } = await start({ storage, handle: effectOf(storage, failing(1)) })
      const { id } = await report('success', 'A')
      await settled(inbox)
      expect(told.map(({ attempt }) => attempt)).toEqual([1, 2])
      expect(await storage.effects?.(`${id}:success`)).toBe(1)
    })

    test('that succeeded is not undone by a handler that fails afterwards', async () => {
      const storage = await newStorage()
      const { report, told, inbox } = await start({
        storage,
        handle: async ({ id }, context) => {
          await storage.effect?.(context, id)
          throw new Error('too late to matter')
        },
      })
      const { id } = await report('success', 'A')
      await settled(inbox)
      expect((await inbox.stats()).deliveries).toMatchObject({ done: 1 })
      expect(await storage.effects?.(`${id}:success`)).toBe(1)
      expect(told).toHaveLength(1)
    })

    test.each([0, 1])(
      "that the handler does not wait for is waited for, and its failure is the attempt's (%d of them)",
      async (failures) => {
        const storage = await newStorage()
        const { report, told, inbox } = await start({
          storage,
          handle: ({ id, attempt }, context) => {
            void storage.effect?.(context, id, attempt <= failures ? failing(1) : undefined)
          },
        })
        const { id } = await report('success', 'A')
        await settled(inbox)
        expect(told.map(({ attempt }) => attempt)).toEqual([1, 2].slice(0, failures + 1))
        expect(await storage.effects?.(`${id}:success`)).toBe(1)
      },
    )

    test('is refused the second time, and after the time limit of the handler', async () => {
      const storage = await newStorage()
      const codes: unknown[] = []
      const { report, told, inbox } = await start({
        storage,
        handlerTimeoutMs: 1_000,
        handle: async ({ id, attempt, orderId }, context) => {
          const commit = () =>
            storage.effect?.(context, id).catch((error: unknown) => codes.push((error as { code: string }).code))
          if (orderId === 'twice') await commit()
          else if (attempt === 1) await new Promise((resolve) => context.signal.addEventListener('abort', resolve))
          await new Promise(setImmediate)
          await commit()
        },
      })
      await report('success', 'twice')
      await settled(inbox)
      const { id } = await report('success', 'late')
      await settled(inbox)
      expect(codes).toEqual(['ERR_CONVERSION_ATTEMPT_LAPSED', 'ERR_CONVERSION_ATTEMPT_LAPSED'])
      expect(told.map(({ orderId, attempt }) => [orderId, attempt])).toEqual([
        ['twice', 1],
        ['late', 1],
        ['late', 2],
      ])
      expect(await storage.effects?.(`${id}:success`)).toBe(1)
    })
  })
}
