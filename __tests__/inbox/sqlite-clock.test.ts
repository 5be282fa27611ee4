import { setTimeout as wait } from 'node:timers/promises'
import { conversionWebhook, type Conversion } from '../../lib/index.js'
import { sqliteInbox } from '../../lib/sqlite.js'
import { eventually, settled } from '../contract/inboxes.js'
import { params } from '../support/callbacks.js'
import { hasSqlite, temporaryFolder } from '../support/sqlite.js'

/* The clock of the machine jumps. Retries follow a steady clock; dates that confirm answered follow the machine's clock. */

const describeSqlite = hasSqlite ? describe : describe.skip
const hourMs = 3_600_000
const realNow = Date.now

describeSqlite('a clock that jumps', () => {
  const folder = temporaryFolder()
  let closing: (() => unknown)[] = []
  let jumpMs: number
  beforeEach(() => {
    jumpMs = 0
    jest.spyOn(Date, 'now').mockImplementation(() => realNow() + jumpMs)
  })
  afterEach(async () => {
    for (const close of closing.reverse()) await close()
    closing = []
    jest.restoreAllMocks()
    folder.remove()
  })

  /** Each delivery fails so many times. */
  function start(failures = 1, options: object = {}) {
    const inbox = sqliteInbox(folder.file('inbox.db'))
    const attempts: string[] = []
    const handlers = {
      onError: () => undefined,
      onSuccess: ({ orderId = '' }: Conversion, { attempt }: { attempt: number }) => {
        attempts.push(orderId)
        if (attempt <= failures) throw new Error('not yet')
      },
    }
    const webhook = conversionWebhook(handlers as object, { secret: false, inbox, ...options })
    closing.push(() => webhook.close())
    const reports = (...orders: string[]) =>
      Promise.all(
        orders.map((orderID) => webhook.accept(params({ conversion: 'success', orderID, goal_complete: '0' }))),
      )
    return { inbox, webhook, reports, attempts }
  }

  const orders = ['A', 'B', 'C', 'D', 'E']
  const failed = (inbox: ReturnType<typeof start>['inbox'], count = 5) =>
    eventually(
      async () => (await inbox.list({ state: 'waiting' })).filter(({ attempts }) => attempts > 0).length,
      (waiting) => waiting === count,
    )

  test.each([
    ['back for good', -hourMs],
    ['back by little', -30_000],
    ['ahead for good', hourMs],
    ['ahead by days', 48 * hourMs],
  ])('%s delays no retry', async (_what, ms) => {
    const { inbox, reports, attempts } = start()
    await reports(...orders)
    await failed(inbox)
    jumpMs = ms
    await settled(inbox)
    expect(attempts.sort()).toEqual([...orders, ...orders].sort())
  })

  test.each([-hourMs, hourMs, 24 * hourMs])(
    'by %d ms for a moment keeps no retry waiting that failed in it',
    async (ms) => {
      const { inbox, reports } = start()
      await reports('warm')
      jumpMs = ms
      await reports(...orders)
      await failed(inbox, 6)
      jumpMs = 0
      await settled(inbox)
      expect((await inbox.stats()).deliveries).toMatchObject({ done: 6 })
    },
  )

  test('back while no process runs delays no retry, not even in a process that started before', async () => {
    const first = start(2)
    await first.reports(...orders)
    await failed(first.inbox)
    await first.webhook.close()
    jumpMs = -hourMs
    const second = start(2)
    await settled(second.inbox)
    expect(second.attempts).toHaveLength(10)
    const third = start(2)
    await third.reports('F')
    jumpMs = -2 * hourMs
    await settled(third.inbox)
  })

  test('shows the next attempt less than a minute ahead', async () => {
    const { inbox, reports } = start()
    await reports('A')
    await failed(inbox, 1)
    jumpMs = -hourMs
    const [row] = await inbox.list()
    // The attempt is a second ahead. The shown time is never before the callback, which was received by the former clock.
    expect(Number(row?.nextAttemptAt) - realNow()).toBeLessThan(60_000)
    jumpMs = hourMs
    const [later] = await inbox.list()
    if (later?.state === 'waiting') expect(Number(later.nextAttemptAt) - Date.now()).toBeLessThan(60_000)
  })

  test('makes a date that confirm answered due when the clock passes it', async () => {
    const asked: number[] = []
    const confirm = () => (asked.push(1) === 1 ? new Date(Date.now() + hourMs) : true)
    const { inbox, reports, attempts } = start(0, { confirm })
    await reports('A')
    await eventually(
      () => inbox.list(),
      ([row]) => row?.heldUntil !== undefined,
    )
    jumpMs = -hourMs
    await wait(500) // several looks
    expect(asked).toHaveLength(1)
    jumpMs = hourMs + 1_000
    await settled(inbox)
    expect([asked.length, attempts]).toEqual([2, ['A']])
  })
})
