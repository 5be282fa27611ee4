import type { ConversionEvent, Inbox, InboxEntry } from '../../lib/index.js'
import type { ConfirmAnswer } from '../../lib/confirm.js'
import { deferred } from '../support/recorder.js'
import { eventually, settled, workbench, type Kind } from './inboxes.js'

const hourMs = 3_600_000
const dayMs = 24 * hourMs
const inDays = (days: number): Date => new Date(Date.now() + days * dayMs)

/** What `confirm` may answer with a date: a shop pays after its refund window. */
export function describeDates(kind: Kind): void {
  const { start, newStorage } = workbench(kind)

  /** A confirm that gives these answers in turn, then repeats the last one, and counts how often it was asked for each event. */
  function answering(...answers: readonly [ConfirmAnswer, ...ConfirmAnswer[]]) {
    const asked = { success: 0, goalComplete: 0, fail: 0, pending: 0 } satisfies Record<ConversionEvent, number>
    const confirm = (_conversion: unknown, { event }: { readonly event: ConversionEvent }): ConfirmAnswer =>
      answers[Math.min(asked[event]++, answers.length - 1)] ?? false
    return { asked, confirm }
  }

  const isHeldUntil = (date: Date) => (entry: InboxEntry | undefined) => entry?.heldUntil?.getTime() === date.getTime()
  const untilHeld = (inbox: Inbox, id: string, date: Date) => eventually(() => inbox.get(id), isHeldUntil(date))

  test('a refund window of 30 days: confirm is asked when the callback comes and when the window ends, then the handler pays', async () => {
    const storage = await newStorage()
    const date = inDays(30)
    const { asked, confirm } = answering(date, true)
    const { report, told, toldTimes, inbox } = await start({ storage, confirm, maxAttempts: 1 })
    const { id } = await report('success', 'A')
    const entry = await untilHeld(inbox, `${id}:success`, date)
    expect(entry).toMatchObject({
      state: 'waiting',
      attempts: 0,
      nextAttemptAt: date,
      lastError: { code: 'ERR_CONVERSION_DELIVERY_HELD' },
    })
    expect(await inbox.stats()).toMatchObject({ deliveries: { waiting: 0, held: 1, running: 0 }, oldestWaitingMs: 0 })
    await storage.pass?.(30 * dayMs + 1_000)
    await toldTimes(1)
    await settled(inbox)
    expect(asked).toMatchObject({ success: 2 })
    expect(told).toMatchObject([{ event: 'success', attempt: 1 }])
    expect(await inbox.get(`${id}:success`)).not.toHaveProperty('heldUntil')
  })

  test('confirm is not asked before the date, even if another callback of the identity comes or the clock jumps', async () => {
    const storage = await newStorage()
    const date = inDays(30)
    const { asked, confirm } = answering(date, true)
    const { report, told, toldTimes, inbox } = await start({
      storage,
      confirm: (conversion, context) => context.event === 'goalComplete' || confirm(conversion, context),
      handle: ({ event }) => {
        if (event === 'goalComplete') throw new Error('not yet')
      },
    })
    const { id } = await report('success', 'A', { goal_complete: '1' })
    await untilHeld(inbox, `${id}:success`, date)
    await eventually(
      () => inbox.get(`${id}:goalComplete`),
      (entry) => entry?.state === 'waiting' && entry.attempts === 2, // retried because its identity was processed
    )
    await storage.pass?.(-dayMs)
    await inbox.replay(`${id}:goalComplete`)
    await toldTimes(3)
    expect(told.map(({ event }) => event)).toEqual(Array(3).fill('goalComplete'))
    expect(asked.success).toBe(1)
    await storage.pass?.(31 * dayMs + 1_000)
    await eventually(
      () => inbox.get(`${id}:success`),
      (entry) => entry?.state === 'done',
    )
    expect(asked.success).toBe(2)
  })

  test('a fail withdraws success and goal in the transaction that records it', async () => {
    const storage = await newStorage()
    const date = inDays(30)
    const deliverer = await start({ storage, confirm: () => date })
    const { id } = await deliverer.report('success', 'A', { goal_complete: '1' })
    for (const event of ['success', 'goalComplete']) await untilHeld(deliverer.inbox, `${id}:${event}`, date)
    await deliverer.webhook.close()
    const receiver = await start({ storage, on: [] })
    await receiver.report('fail', 'A')
    const { deliveries } = await receiver.inbox.stats()
    expect(deliveries).toMatchObject({ withdrawn: 2, held: 0, waiting: 1 })
    const { told, toldTimes, inbox } = await start({ storage })
    await toldTimes(1)
    await settled(inbox)
    expect(told.map((each) => each.id)).toEqual([`${id}:fail`]) // no success was delivered that this fail could take back
  })

  test('a fail that comes while confirm is asked withdraws the success that confirm then holds', async () => {
    const asked = deferred()
    const answer = deferred<Date>()
    const { report, told, inbox } = await start({
      confirm: () => {
        asked.resolve()
        return answer.promise
      },
    })
    const { id } = await report('success', 'A')
    await asked.promise
    await report('fail', 'A')
    answer.resolve(inDays(30))
    await settled(inbox)
    expect(await inbox.get(`${id}:success`)).toMatchObject({ state: 'withdrawn' })
    expect(told.map((each) => each.id)).toEqual([`${id}:fail`])
  })

  test('a fail that was refused withdraws when it is replayed', async () => {
    const storage = await newStorage()
    const date = inDays(30)
    const before = await start({ storage, confirm: () => date })
    const { id } = await before.report('success', 'A')
    await untilHeld(before.inbox, `${id}:success`, date)
    const refused = await before.report('cancelled', 'A')
    expect(refused.outcome).toBe('refused')
    await before.webhook.close()
    const gate = deferred()
    const { told, toldTimes, inbox } = await start({
      storage,
      statuses: { cancelled: 'fail' },
      handle: () => gate.promise,
    })
    await inbox.replay(refused.id)
    await toldTimes(1)
    expect(await inbox.get(`${id}:success`)).toMatchObject({ state: 'withdrawn' }) // while the handler of the fail still runs
    gate.resolve()
    await settled(inbox)
    expect(told.map((each) => each.id)).toEqual([`${id}:fail`])
  })

  test('a success after that fail is held anew', async () => {
    const dates = [inDays(30), inDays(60)] as const
    const { asked, confirm } = answering(...dates)
    const { report, inbox } = await start({ confirm })
    const { id } = await report('success', 'A')
    await untilHeld(inbox, `${id}:success`, dates[0])
    await report('fail', 'A')
    expect(await inbox.get(`${id}:success`)).toMatchObject({ state: 'withdrawn' })
    await report('success', 'A')
    expect(await untilHeld(inbox, `${id}:success`, dates[1])).toMatchObject({ state: 'waiting' })
    expect(asked.success).toBe(2)
  })

  test('a replayed delivery asks confirm at once', async () => {
    const date = inDays(30)
    const { asked, confirm } = answering(date, true)
    const { report, toldTimes, inbox } = await start({ confirm })
    const { id } = await report('success', 'A')
    await untilHeld(inbox, `${id}:success`, date)
    await inbox.replay(`${id}:success`)
    await toldTimes(1)
    await settled(inbox)
    expect(asked.success).toBe(2)
  })

  test('a delivery held for maxHoldMs after its first date is dead', async () => {
    const storage = await newStorage()
    const dead = deferred<unknown>()
    const date = inDays(30)
    const { confirm } = answering(date, 'hold')
    const { report, told, inbox } = await start({
      storage,
      confirm,
      maxHoldMs: dayMs,
      observers: { onDead: (what) => dead.resolve(what) },
    })
    const { id } = await report('success', 'A')
    await untilHeld(inbox, `${id}:success`, date)
    await storage.pass?.(30 * dayMs + 1_000)
    const entry = await eventually(
      () => inbox.get(`${id}:success`),
      (found) => found?.state === 'waiting' && found.heldUntil === undefined,
    )
    expect(entry?.history.map(({ what }) => what)).toEqual(['recorded', 'held', 'held'])
    await storage.pass?.(dayMs)
    expect(await dead.promise).toMatchObject({ id: `${id}:success` })
    await settled(inbox)
    expect(await inbox.get(`${id}:success`)).toMatchObject({ state: 'dead', attempts: 0 })
    expect(told).toEqual([])
  })

  test('a past date counts as hold', async () => {
    const { asked, confirm } = answering(new Date(0), true)
    const { report, told, inbox } = await start({ confirm, maxAttempts: 1 })
    const { id } = await report('success', 'A')
    const entry = await eventually(
      () => inbox.get(`${id}:success`),
      (found) => found?.lastError !== undefined,
    )
    expect(entry).not.toHaveProperty('heldUntil')
    await settled(inbox)
    expect(asked.success).toBe(2)
    expect(told).toMatchObject([{ event: 'success', attempt: 1 }])
  })

  test('stats counts held and waiting deliveries separately', async () => {
    const storage = await newStorage()
    const { report, inbox } = await start({
      storage,
      confirm: ({ orderId }) => (orderId === 'until' ? inDays(30) : orderId !== 'held' || 'hold'),
      handle: () => {
        throw new Error('no')
      },
    })
    for (const order of ['until', 'held']) await report('success', order)
    const counted = (held: number, waiting: number) =>
      eventually(
        () => inbox.stats(),
        ({ deliveries }) => deliveries.held === held && deliveries.waiting === waiting,
      )
    expect(await counted(2, 0)).toMatchObject({ oldestWaitingMs: 0, deliveries: { running: 0 } })
    const { id } = await report('success', 'failing')
    expect((await counted(2, 1)).oldestWaitingMs).toBeGreaterThanOrEqual(0)
    const before = await inbox.get(`${id}:success`)
    await eventually(
      () => inbox.stats(),
      ({ oldestWaitingMs }) => oldestWaitingMs > 0,
    )
    const [now, { oldestWaitingMs }] = [Date.now(), await inbox.stats()]
    expect(Math.abs(now - Number(before?.receivedAt) - oldestWaitingMs)).toBeLessThan(hourMs)
    await eventually(
      () => inbox.list({ state: 'waiting' }), // held deliveries are retried, so they wait and run in turn
      ({ length }) => length === 3,
    )
  })
}
