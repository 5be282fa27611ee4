import { conflictOf, maxAgeMs } from '../../lib/inbox/quarantine.js'
import type { Inbox, InboxRow } from '../../lib/index.js'
import { callbackOf } from '../support/ledger.js'
import { numbered, refused } from '../support/refused.js'
import { eventually, settled, workbench, type Kind } from './inboxes.js'

/** How many refused callbacks and conflicts are kept, and for how long: the same on all inboxes. */
export function describeQuarantine(kind: Kind): void {
  const { start, newStorage } = workbench(kind)
  const mebibyte = 1_048_576
  const ordersOf = (rows: readonly InboxRow[]) => rows.map(({ params }) => params.orderID)
  const impossible = { code: 'ERR_CONVERSION_REPLAY_IMPOSSIBLE' }

  /** Refused callbacks, each a millisecond younger than the one before. */
  async function fill(inbox: Inbox, from: number, to: number, note = '') {
    const now = Date.now() - 60_000
    for (let number = from; number < to; number++) {
      const pairs = [
        ['orderID', String(number)],
        ['note', note],
      ] as const
      await inbox.quarantine(refused(pairs, { receivedAt: now + number }))
    }
  }

  test('a refused callback is kept whose strings become the same bytes', async () => {
    const { webhook, inbox } = await start()
    const halves = { '\ud800': '\udbff', '\ud801': '\udbfe' }
    const { id } = await webhook.accept({ conversion: 'nonsense', orderID: 'A', ...halves })
    expect(await inbox.list({ orderId: 'A' })).toMatchObject([{ id }])
  })

  test('the same refused callback is one row with a count, under the id that onRefused got', async () => {
    const told: unknown[] = []
    const onRefused = ({ id }: { id?: string }) => told.push(id)
    const { webhook, inbox } = await start({ observers: { onRefused } })
    const ids = []
    for (let times = 0; times < 3; times++) {
      ids.push((await webhook.accept('conversion=nonsense&orderID=A')).id)
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
    await webhook.accept('conversion=nonsense&orderID=A', { scope: 'spring' })
    const [id = ''] = ids
    expect(ids).toEqual([id, id, id])
    expect(told.slice(0, 3)).toEqual(ids)
    const rows = await inbox.list()
    expect(rows.map(({ count, scope }) => [count, scope])).toEqual([
      [1, 'spring'],
      [3, ''],
    ])
    const entry = await inbox.get(id)
    expect(entry?.lastAt?.getTime()).toBeGreaterThan(entry?.receivedAt.getTime() ?? Infinity)
    expect(entry?.history).toEqual([
      { at: entry?.receivedAt, what: 'refused', id, code: 'ERR_CONVERSION_CALLBACK_REFUSED' },
      { at: entry?.lastAt, what: 'refused', id, code: 'ERR_CONVERSION_CALLBACK_REFUSED', count: 3 },
    ])
    expect((await inbox.stats()).callbacks.refused).toBe(4)
  })

  test('the same conflict is one row with a count', async () => {
    const { report, inbox } = await start()
    const { id } = await report('success', 'A')
    await settled(inbox)
    for (const purchaseValue of ['7', '8', '7', '7']) await report('success', 'A', { purchaseValue })
    const rows = await inbox.list({ state: 'conflict' })
    expect(rows.map(({ params, count }) => [params.purchaseValue, count]).sort()).toEqual([
      ['7', 3],
      ['8', 1],
    ])
    const entry = await inbox.get(`${id}:success`)
    expect(entry?.history.filter(({ what }) => what === 'conflict').map(({ count }) => count)).toEqual(
      expect.arrayContaining([undefined, 3]),
    )
    expect((await inbox.stats()).callbacks.conflict).toBe(4)
  })

  test('a hundred at the same time are all counted', async () => {
    const storage = await newStorage()
    const one = await start({ storage })
    const two = kind.isDurable ? await start({ storage }) : one
    await Promise.all(
      Array.from({ length: 50 }, (_each, index) => {
        const input = `conversion=nonsense&orderID=${String(index % 2)}`
        return Promise.all([one.webhook.accept(input), two.webhook.accept(input)])
      }),
    )
    expect((await one.inbox.list()).map(({ count }) => count)).toEqual([50, 50])
  })

  test('a replayed callback stays done when the same content is refused again', async () => {
    let isKnown = false
    const parseCustomValue = (text: string): string => {
      if (!isKnown) throw new Error('not yet')
      return text
    }
    const { report, inbox } = await start({ parseCustomValue })
    const { id } = await report('success', 'A')
    isKnown = true
    await inbox.replay(id)
    await eventually(
      () => inbox.get(id),
      (entry) => entry?.state === 'done',
    )
    await settled(inbox)
    isKnown = false
    expect(await report('success', 'A')).toEqual({ outcome: 'refused', id })
    expect(await inbox.get(id)).toMatchObject({ state: 'done', count: 2 })
    await expect(inbox.replay(id)).rejects.toMatchObject(impossible)
  })

  test('of too many rows the oldest are dropped, of refused callbacks and of conflicts separately', async () => {
    const { report, inbox } = await start({ storage: await newStorage({ rows: 3, bytes: mebibyte }) })
    const conflict = conflictOf('x', { ...callbackOf('success'), receivedAt: Date.now() - 90_000 }, [])
    await inbox.quarantine(conflict)
    await fill(inbox, 0, 10)
    expect(ordersOf(await inbox.list({ state: 'refused' }))).toEqual(['9', '8', '7'])
    expect(await inbox.list({ state: 'conflict' })).toMatchObject([{ id: conflict.id }])
    await report('success', 'A')
    await settled(inbox)
    for (let value = 0; value < 9; value++) await report('success', 'A', { purchaseValue: String(value) })
    expect(await inbox.list({ state: 'conflict' })).toHaveLength(3)
    expect(await inbox.list({ state: 'refused' })).toHaveLength(3)
  })

  test('of too many bytes the oldest rows are dropped', async () => {
    const { inbox } = await start({ storage: await newStorage({ rows: 1_000, bytes: 100_000 }) })
    await fill(inbox, 0, 50)
    await fill(inbox, 50, 60, 'x'.repeat(10_000))
    const orders = ordersOf(await inbox.list())
    expect(orders.length).toBeGreaterThan(2)
    expect(orders.length).toBeLessThan(10)
    expect(orders).toEqual(Array.from(orders, (_each, index) => String(59 - index)))
  })

  test('a callback that came more than 30 days ago is gone', async () => {
    const { inbox } = await start()
    await inbox.quarantine(numbered(1, { receivedAt: Date.now() - maxAgeMs - 1_000 }))
    await inbox.quarantine(numbered(2, { receivedAt: Date.now() - maxAgeMs + 60_000 }))
    for (let number = 3; number < 200; number++) await inbox.quarantine(numbered(number))
    expect(ordersOf(await inbox.list({ limit: 1_000 }))).not.toContain('1')
    expect(ordersOf(await inbox.list({ limit: 1_000 }))).toContain('2')
  })

  test('a callback that comes again after 30 days is kept for another 30', async () => {
    const { inbox } = await start()
    await inbox.stats() // opens the storage, which may take a while
    const first = numbered(1, { receivedAt: Date.now() - maxAgeMs + 2_000 })
    await inbox.quarantine(first)
    expect(await inbox.get(first.id)).toMatchObject({ count: 1 })
    while (Date.now() <= first.receivedAt + maxAgeMs) await new Promise((resolve) => setTimeout(resolve, 20))
    expect(await inbox.get(first.id)).toBeUndefined()
    const again = numbered(1)
    await inbox.quarantine(again)
    await inbox.quarantine(numbered(2))
    expect(await inbox.get(again.id)).toMatchObject({ count: 1, receivedAt: new Date(again.receivedAt) })
    expect(ordersOf(await inbox.list())).toEqual(expect.arrayContaining(['1', '2']))
    expect(await inbox.list()).toHaveLength(2)
  })

  test('a search finds every kept callback', async () => {
    const { inbox } = await start()
    await fill(inbox, 0, 250)
    expect(ordersOf(await inbox.list({ orderId: '0' }))).toEqual(['0'])
  })

  test('a callback that could not be kept has length and hash, and cannot be replayed', async () => {
    const { inbox } = await start()
    const digest = { length: 70_000, hash: 'a'.repeat(64) }
    const record = refused([], { received: { digest } })
    await inbox.quarantine(record)
    expect(await inbox.get(record.id)).toMatchObject({ kind: 'refused', params: {}, digest })
    await expect(inbox.replay(record.id)).rejects.toMatchObject({
      ...impossible,
      message: 'This cannot be replayed: only its length and hash were kept.',
    })
  })

  test('a history holds the last hundred conflicts', async () => {
    const { report, inbox } = await start()
    const { id } = await report('success', 'A')
    await settled(inbox)
    for (let value = 1; value <= 120; value++) await report('success', 'A', { purchaseValue: String(value) })
    const entry = await inbox.get(`${id}:success`)
    expect(entry?.history.filter(({ what }) => what === 'conflict')).toHaveLength(100)
    const rows = await inbox.list({ state: 'conflict', limit: 1_000 })
    const [newest, oldest] = [rows[0], rows.at(-1)]
    const ids = entry?.history.map((each) => each.id)
    expect(ids).toContain(newest?.id)
    expect(ids).not.toContain(oldest?.id)
    const first = await inbox.get(oldest?.id ?? '')
    expect(first?.history.map((each) => each.id)).toContain(oldest?.id)
  })

  if (!kind.isDurable) return

  test('callbacks that wait after a replay are not dropped, and leave half of the budget to new ones', async () => {
    const storage = await newStorage({ rows: 4, bytes: mebibyte })
    const receiver = await start({ storage, on: [] })
    await fill(receiver.inbox, 0, 3)
    const before = await receiver.inbox.list()
    const [third, second, first] = before
    await receiver.inbox.replay(first?.id ?? '')
    await receiver.inbox.replay(second?.id ?? '')
    await receiver.inbox.replay(second?.id ?? '')
    await expect(receiver.inbox.replay(third?.id ?? '')).rejects.toMatchObject({
      ...impossible,
      message: expect.stringContaining('fill half of the quarantine') as string,
    })
    await fill(receiver.inbox, 3, 20)
    const rows = await receiver.inbox.list()
    expect(rows.map(({ params, state }) => [params.orderID, state])).toEqual([
      ['19', 'refused'],
      ['18', 'refused'],
      ['1', 'waiting'],
      ['0', 'waiting'],
    ])
    const { webhook, inbox } = await start({ storage })
    await eventually(
      () => inbox.list({ state: 'waiting' }),
      ({ length }) => length === 0,
    )
    await webhook.accept('conversion=nonsense&orderID=last')
    expect(ordersOf(await inbox.list())).toHaveLength(4)
  })

  test('callbacks that are replayed at the same time leave half of the budget as well', async () => {
    const { inbox } = await start({ storage: await newStorage({ rows: 10, bytes: mebibyte }), on: [] })
    await fill(inbox, 0, 10)
    const rows = await inbox.list()
    const ends = await Promise.allSettled(rows.map(({ id }) => inbox.replay(id)))
    expect(ends.filter(({ status }) => status === 'fulfilled')).toHaveLength(5)
    await fill(inbox, 10, 11)
    expect(ordersOf(await inbox.list({ state: 'refused' }))).toContain('10')
  })

  test('a callback that is refused again under other options has the latest code and issues', async () => {
    const storage = await newStorage()
    const input = 'conversion=success&orderID=A&purchaseValue=5'
    const before = await start({ storage, schema: { required: ['campaign'] } })
    const { id } = await before.webhook.accept(input)
    expect((await before.inbox.get(id))?.issues).toMatchObject([{ rule: 'schema:required' }])
    const after = await start({ storage, schema: { properties: { purchaseValue: { maxLength: 0 } } } })
    expect(await after.webhook.accept(input)).toEqual({ outcome: 'refused', id })
    const entry = await after.inbox.get(id)
    expect(entry).toMatchObject({ state: 'refused', count: 2 })
    expect(entry?.issues).toMatchObject([{ parameter: 'purchaseValue', rule: 'schema:maxLength' }])
  })

  test('two processes that fill the quarantine stay within its budget', async () => {
    const storage = await newStorage({ rows: 10, bytes: mebibyte })
    const [one, two] = [await start({ storage, on: [] }), await start({ storage, on: [] })]
    await Promise.all([fill(one.inbox, 0, 100), fill(two.inbox, 100, 200)])
    await fill(one.inbox, 200, 201)
    const rows = await two.inbox.list()
    expect(rows).toHaveLength(10)
    expect(ordersOf(rows)).toContain('200')
  })
}
