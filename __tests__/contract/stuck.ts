import type { ConversionContext } from '../../lib/index.js'
import { deferred } from '../support/recorder.js'
import { eventually, settled, workbench, type Kind, type Told } from './inboxes.js'

type Failure = Readonly<Record<string, unknown>>

const orders = (count: number): string[] => Array.from({ length: count }, (_each, index) => `stuck ${String(index)}`)

/** Handlers that still run long after their time limit and the abort of their signal. */
export function describeStuck(kind: Kind): void {
  const { start } = workbench(kind)
  let isOver = false
  beforeEach(() => (isOver = false))
  afterEach(() => (isOver = true))

  /** A webhook whose handlers of orders that begin with `stuck` run until the test ends them, one by one. */
  async function startStuck(options: Parameters<typeof start>[0] = {}) {
    const ends = new Map<string, () => void>()
    const failures: Failure[] = []
    const checks = new Set<() => void>()
    const running: string[] = []
    /** MemoryClaims for which two handlers ran at the same time. */
    const doubled: string[] = []
    const started = await start({
      handlerTimeoutMs: 30,
      ...options,
      observers: {
        onError: ({ error, ...failure }) => {
          failures.push({ ...failure, code: (error as { code?: unknown }).code })
          for (const check of checks) check()
        },
      },
      handle: async ({ id, orderId, attempt }: Told, context: ConversionContext) => {
        const [identity = ''] = id.split(':')
        if (running.includes(identity)) doubled.push(identity)
        running.push(identity)
        if (attempt === 1 && orderId?.startsWith('stuck') === true && context.event === 'success') {
          const gate = deferred()
          ends.set(orderId, gate.resolve)
          await gate.promise
        }
        running.splice(running.indexOf(identity), 1)
      },
    })
    const toldOf = (code: string): readonly Failure[] => failures.filter((failure) => failure.code === code)
    return {
      ...started,
      doubled,
      toldOf,
      end: (order: string) => ends.get(order)?.(),
      /** Resolves when `onError` has got this code so many times. */
      toldOften: (code: string, count: number) =>
        new Promise<void>((resolve) => {
          const check = (): void => {
            if (toldOf(code).length >= count) resolve()
          }
          checks.add(check)
          check()
        }),
      /** Repeats a callback until it is answered with 200, as a sender does. */
      insist: (conversion: string, order: string) =>
        eventually(
          () => started.report(conversion, order).catch(() => undefined),
          (answer) => isOver || answer !== undefined,
        ),
    }
  }

  test('ten stuck handlers give their slots to other deliveries', async () => {
    const { report, insist, told, toldTimes, toldOf } = await startStuck({ concurrency: 10 })
    await Promise.allSettled(orders(10).map((order) => report('success', order)))
    await toldTimes(10)
    await insist('success', 'eleventh')
    await toldTimes(11)
    expect(told.at(-1)).toMatchObject({ orderId: 'eleventh', attempt: 1 })
    expect(toldOf('ERR_CONVERSION_HANDLER_STUCK').length).toBeGreaterThan(0)
  })

  test('a stuck handler is reported with its delivery, and listed as running since its start', async () => {
    const before = Date.now()
    const { report, inbox, toldOften, toldOf, told } = await startStuck()
    await report('success', 'stuck').catch(() => undefined)
    await toldOften('ERR_CONVERSION_HANDLER_STUCK', 1)
    const id = told[0]?.id
    const delivery = { stage: 'handler', id, event: 'success', attempt: 1, orderId: 'stuck' }
    expect(toldOf('ERR_CONVERSION_HANDLER_LATE')).toMatchObject([delivery])
    expect(toldOf('ERR_CONVERSION_HANDLER_STUCK')).toMatchObject([delivery])
    const [row] = await inbox.list({ state: 'running' })
    expect(row).toMatchObject({ id, attempts: 1, startedAt: expect.any(Date) as Date })
    const tolerance = 5_000 // the two times come from different clocks
    expect(Math.abs((row?.startedAt?.getTime() ?? 0) - before)).toBeLessThan(tolerance)
  })

  test('nothing else of its identity runs until it ends; then its retry and later deliveries follow', async () => {
    const { report, insist, inbox, told, toldOften, toldTimes, end, doubled } = await startStuck({ concurrency: 1 })
    const goal = { goal_complete: '1' }
    await report('success', 'stuck', goal).catch(() => undefined)
    await toldOften('ERR_CONVERSION_HANDLER_STUCK', 1)
    await report('success', 'stuck', goal).catch(() => undefined) // in memory a repeat asks for the retry
    await insist('success', 'other')
    await toldTimes(2)
    expect(told.map(({ orderId, event }) => [orderId, event])).toEqual([
      ['stuck', 'success'],
      ['other', 'success'],
    ])
    end('stuck')
    await insist('success', 'stuck')
    await settled(inbox)
    expect(told.slice(2).map(({ event, attempt }) => [event, attempt])).toEqual(
      expect.arrayContaining([
        ['success', 2],
        ['goalComplete', 1],
      ]),
    )
    expect(told).toHaveLength(4)
    expect(doubled).toEqual([])
  })

  test('close does not wait for a stuck handler', async () => {
    const { report, webhook, toldOften, storage } = await startStuck({ closeTimeoutMs: 3_600_000 })
    await report('success', 'stuck').catch(() => undefined)
    await toldOften('ERR_CONVERSION_HANDLER_STUCK', 1)
    await webhook.close()
    if (!kind.isDurable) return
    const next = await start({ storage, on: [] })
    expect(await next.inbox.list()).toMatchObject([{ state: 'running', attempts: 1, params: { orderID: 'stuck' } }])
  })

  test('with ten times as many stuck handlers as concurrency nothing more is delivered, until one ends', async () => {
    const { report, insist, inbox, told, toldOften, toldOf, toldTimes, end } = await startStuck({ concurrency: 1 })
    for (const order of orders(10)) await report('success', order).catch(() => undefined)
    await toldOften('ERR_CONVERSION_HANDLER_STUCK', 10)
    await toldOften('ERR_CONVERSION_DELIVERY_STOPPED', 1)
    const answer = report('success', 'later')
    if (kind.isDurable) expect(await answer).toMatchObject({ outcome: 'accepted' })
    else await expect(answer).rejects.toMatchObject({ code: 'ERR_CONVERSION_HANDLER_LATE' })
    expect(await inbox.stats()).toMatchObject({ deliveries: { running: 10, waiting: 1 } })
    expect(told).toHaveLength(10)
    end('stuck 3')
    await insist('success', 'later')
    await toldTimes(11)
    await eventually(
      () => inbox.list({ orderId: 'later' }),
      ([row]) => row?.state === 'done',
    )
    expect(toldOf('ERR_CONVERSION_DELIVERY_STOPPED')).toMatchObject([{ stage: 'inbox' }])
  })
}
