import { memoryInbox } from '../../lib/index.js'
import {
  conflictOf,
  durableBudget,
  givingWay,
  keptWith,
  maxAgeMs,
  mayWait,
  memoryBudget,
  QuarantineWatch,
  type RefusedRecord,
} from '../../lib/inbox/quarantine.js'
import { MemoryQuarantine } from '../../lib/inbox/stores/memory-store.js'
import { testHost, working } from '../support/host.js'
import { callbackOf } from '../support/ledger.js'
import { numbered, refused } from '../support/refused.js'

const mebibyte = 1_048_576

describe('the id of a refused callback', () => {
  const order = [['orderID', 'A']] as const
  const { id } = refused(order)

  test('is the same for the same content in the same scope, at any time and with any issues', () => {
    expect(id).toMatch(/^refused:[0-9a-f]{40}$/)
    const later = refused(order, { receivedAt: 7, code: 'ERR_CONVERSION_CALLBACK_UNREADABLE', issues: [issue(1)] })
    expect(later.id).toBe(id)
  })

  test('is another one for other content', () => {
    const digest = (hash: string) => refused([], { received: { digest: { length: 70_000, hash } } })
    const others = [
      refused(order, { scope: 'spring' }),
      refused([['orderID', 'B']]),
      refused([['orderI', 'DA']]),
      refused([...order, ['a', '']]),
      refused([['a', ''], ...order]),
      refused([]),
      refused(order, { received: { untyped: { orderID: 'number' } } }),
      refused(order, { received: { issues: [{ parameter: 'orderID', rule: 'escape', message: 'is damaged' }] } }),
      refused([['orderID', '\ud800']]),
      refused([['orderID', '\udc00']]),
      refused([['orderID', '\ufffd']]),
      digest('aa'),
      digest('bb'),
    ]
    expect(new Set([id, ...others.map((other) => other.id)]).size).toBe(others.length + 1)
  })
})

const issue = (number: number) => ({ rule: 'escape', message: `issue ${String(number)}` })

test('at most twenty issues of a callback are kept', () => {
  const issues = Array.from({ length: 1_000 }, (_each, index) => issue(index))
  const kept = refused([], { issues, received: { issues } })
  expect(kept.issues).toEqual(issues.slice(0, 20))
  expect(kept.received.issues).toEqual(issues.slice(0, 20))
})

describe('the same content again', () => {
  const first = numbered(1, { receivedAt: 10 })
  const again = numbered(1, { receivedAt: 20, code: 'ERR_CONVERSION_CALLBACK_UNREADABLE', issues: [issue(1)] })

  test('is counted, and gets the latest code and issues', () => {
    expect(keptWith(undefined, first)).toBe(first)
    expect(keptWith(first, again)).toEqual({ ...again, receivedAt: 10, count: 2 })
  })

  test.each(['waiting', 'done'] as const)('keeps the code and issues of a row that is %s', (state) => {
    const replayed: RefusedRecord = { ...first, state, log: [{ at: 15, what: 'replayed' }] }
    expect(keptWith(replayed, again)).toEqual({ ...replayed, count: 2, lastAt: 20 })
  })

  test('of a conflict is counted, whether it was replayed or not', () => {
    const conflict = conflictOf('x', { ...callbackOf('success'), receivedAt: 10 }, [])
    const later = conflictOf('x', { ...callbackOf('success'), receivedAt: 20 }, [])
    expect(keptWith(conflict, later)).toEqual({ ...conflict, count: 2, lastAt: 20 })
    expect(keptWith({ ...conflict, state: 'done' }, later)).toMatchObject({ state: 'done', count: 2 })
  })
})

describe('the rows to drop', () => {
  const now = 2 * maxAgeMs
  const rows = (count: number, bytes = 10) =>
    Array.from({ length: count }, (_each, number) => ({ number, receivedAt: now, bytes }))

  test('are none within the budget', () => {
    const size = { rows: 100, bytes: 1_000 }
    expect(givingWay(size, rows(100), size, now)).toEqual({ numbers: [], size })
  })

  test('are the oldest hundredth, once there are too many rows or bytes', () => {
    const budget = { rows: 1_000, bytes: 10_000 }
    const tooMany = givingWay({ rows: 1_001, bytes: 5_000 }, rows(1_001, 1), budget, now)
    expect(tooMany.numbers).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    expect(tooMany.size).toEqual({ rows: 990, bytes: 4_989 })
    const tooLarge = givingWay({ rows: 11, bytes: 10_500 }, rows(11, 250), budget, now)
    expect(tooLarge.numbers).toEqual([0, 1, 2])
    expect(tooLarge.size).toEqual({ rows: 8, bytes: 9_750 })
  })

  test('are all that came more than 30 days ago', () => {
    const [old, limit, young] = [1, 0, -1].map((ms) => ({ number: ms, receivedAt: now - maxAgeMs - ms, bytes: 10 }))
    if (!old || !limit || !young) throw new Error('three rows')
    const { numbers } = givingWay({ rows: 3, bytes: 30 }, [old, limit, young], durableBudget, now)
    expect(numbers).toEqual([old.number])
  })
})

test('waiting callbacks fill at most half of a quarantine', () => {
  expect(mayWait({ rows: 4_999, bytes: 32 * mebibyte - 1 }, durableBudget)).toBe(true)
  expect(mayWait({ rows: 5_000, bytes: 0 }, durableBudget)).toBe(false)
  expect(mayWait({ rows: 0, bytes: 32 * mebibyte }, durableBudget)).toBe(false)
})

describe('a store measures its quarantine', () => {
  const watch = () => new QuarantineWatch({ rows: 1_000, bytes: 100_000 })

  test('first, and after each hundredth', () => {
    const watched = watch()
    watched.spend('refused', 1)
    expect(watched.isDue('refused')).toBe(true)
    watched.looked('refused', { rows: 1, bytes: 1 })
    for (let row = 0; row < 10; row++) watched.spend('refused', 1)
    expect(watched.isDue('refused')).toBe(false)
    watched.spend('refused', 1)
    expect(watched.isDue('refused')).toBe(true)
    watched.looked('refused', { rows: 12, bytes: 12 })
    watched.spend('refused', 1_001)
    expect(watched.isDue('refused')).toBe(true)
    expect(watched.isDue('conflict')).toBe(true)
  })

  test('as soon as there may be no room left', () => {
    const watched = watch()
    watched.looked('refused', { rows: 998, bytes: 0 })
    watched.spend('refused', 1)
    watched.spend('refused', 1)
    expect(watched.isDue('refused')).toBe(false)
    watched.spend('refused', 1)
    expect(watched.isDue('refused')).toBe(true)
    watched.looked('refused', { rows: 1, bytes: 99_900 })
    watched.spend('refused', 101)
    expect(watched.isDue('refused')).toBe(true)
  })

  test('every hour', () => {
    const watched = watch()
    expect([0, 3_599_999, 3_600_000, 3_600_001].map((now) => watched.isHourOver(now))).toEqual([
      true,
      false,
      true,
      false,
    ])
  })
})

describe('the memory inbox', () => {
  test('keeps the last 1,000 refused callbacks, and counts conflicts separately', async () => {
    const inbox = memoryInbox()
    inbox.attach(testHost(working).host)
    const conflict = conflictOf('x', { ...callbackOf('success'), receivedAt: Date.now() }, [])
    await inbox.quarantine(conflict)
    const first = Date.now() - 2_000
    for (let number = 0; number < 1_500; number++)
      await inbox.quarantine(numbered(number, { receivedAt: first + number }))
    const rows = await inbox.list({ limit: 1_000, state: 'refused' })
    expect(rows.map(({ params }) => Number(params.orderID))).toEqual(
      Array.from({ length: 1_000 }, (_each, index) => 1_499 - index),
    )
    expect(await inbox.list({ state: 'refused', before: rows.at(-1)?.id })).toEqual([])
    expect(await inbox.list({ state: 'conflict' })).toMatchObject([{ id: conflict.id }])
    await inbox.close()
  })

  test('keeps 8 MiB of them by its own estimate', () => {
    const quarantine = new MemoryQuarantine(memoryBudget)
    for (let number = 0; number < 500; number++)
      quarantine.keep(
        refused([
          ['orderID', String(number)],
          ['note', 'x'.repeat(16_000)],
        ]),
      )
    const kept = quarantine.all().length
    const each = 2 * 16_000
    expect(kept).toBeGreaterThan((7 * mebibyte) / (each + 2_048))
    expect(kept).toBeLessThan((8 * mebibyte) / each)
  })

  test('drops no callback that waits after a replay, and lets at most half of the budget wait', async () => {
    const quarantine = new MemoryQuarantine({ rows: 4, bytes: mebibyte })
    const first = numbered(0)
    quarantine.keep(first)
    quarantine.write({ ...first, state: 'waiting' })
    for (let number = 1; number < 10; number++) quarantine.keep(numbered(number))
    const orders = quarantine.all().map((row) => (row.kind === 'refused' ? row.received.pairs[0]?.[1] : ''))
    expect(orders).toEqual(['0', '7', '8', '9'])
    expect(quarantine.waiting()).toEqual({ rows: 1, bytes: expect.any(Number) as number })
    const inbox = memoryInbox()
    inbox.attach(testHost(working).host)
    for (let number = 0; number < 501; number++) await inbox.quarantine(numbered(number))
    await inbox.close() // now replayed callbacks keep waiting, since no process checks them
    for (let number = 0; number < 500; number++) await inbox.replay(numbered(number).id)
    await inbox.replay(numbered(0).id)
    await expect(inbox.replay(numbered(500).id)).rejects.toMatchObject({ code: 'ERR_CONVERSION_REPLAY_IMPOSSIBLE' })
  })

  test('keeps nothing before it belongs to a webhook', () => {
    const quarantine = () => memoryInbox().quarantine(conflictOf('x', callbackOf('success'), []))
    expect(quarantine).toThrow('belongs to no webhook')
  })
})
