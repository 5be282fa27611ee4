import {
  claim,
  isSettled,
  lapse,
  lastErrorOf,
  replayed,
  retryDelayMs,
  settle,
  withdrawOvertaken,
} from '../../lib/inbox/delivery.js'
import { conflictOf } from '../../lib/inbox/quarantine.js'
import { deliveryId, findDelivery, keyOf } from '../../lib/inbox/records.js'
import { done, failed } from '../support/host.js'
import { callbackOf, receive, recordOf } from '../support/ledger.js'

const at = (status: 'pending' | 'success' | 'fail', receivedAt: number) => ({ ...callbackOf(status), receivedAt })
const waiting = { pending: 'waiting', success: 'waiting', goalComplete: 'waiting', fail: 'waiting' } as const
const none = () => false
const all = { handlers: { has: () => true }, hasConfirm: false, owner: 'me', now: 10, holders: new Map() }
const nobody = { ...all, handlers: { has: none } }
const policy = { now: 20, random: 0.5, maxAttempts: 12, maxHoldMs: 1_000 }

describe('a record', () => {
  test('counts duplicates and stale callbacks with their first and last time, without a row each', () => {
    let record = recordOf(at('success', 1))
    for (const callback of [at('success', 2), at('success', 3), at('pending', 4), at('success', 5)]) {
      record = receive(record, callback).record
    }
    expect(record.repeats).toEqual({
      duplicate: { count: 3, firstAt: 2, lastAt: 5 },
      stale: { count: 1, firstAt: 4, lastAt: 4 },
    })
    expect(record.deliveries).toHaveLength(1)
  })

  test('numbers its deliveries in the order of their recording', () => {
    const record = recordOf(callbackOf('pending'), callbackOf('success', { goal_complete: '1' }), callbackOf('fail'))
    expect(record.deliveries.map((delivery) => [keyOf(delivery), delivery.sequence])).toEqual([
      ['pending', 1],
      ['success', 2],
      ['goalComplete', 3],
      ['reversal', 4],
    ])
  })

  test('gives a delivery that is brought back a new callback, sequence and attempts, and keeps its log', () => {
    const first = recordOf([at('success', 1), waiting])
    const tried = settle(claim(first, 'success', all).record, 'success', failed, policy)
    const record = receive(receive(tried, at('fail', 2)).record, at('success', 3)).record
    expect(findDelivery(record, 'success')).toMatchObject({
      sequence: 3,
      state: 'waiting',
      attempts: 0,
      dueAt: 0,
      callback: { receivedAt: 3 },
      previous: { status: 'fail', goalComplete: false },
      log: [
        { at: 20, what: 'failed', attempt: 1, code: 'ERR_CONVERSION_HANDLER_FAILED' },
        { at: 1, what: 'recorded' },
      ],
    })
  })

  test('keeps the running attempt of a delivery that is brought back', () => {
    const running = claim(recordOf([callbackOf('success'), waiting]), 'success', all).record
    const record = receive(receive(running, callbackOf('fail')).record, callbackOf('success')).record
    expect(findDelivery(record, 'success')).toMatchObject({ state: 'running', sequence: 3 })
    const delivered = settle(record, 'success', done, policy)
    expect(claim(delivered, 'fail', all)).toEqual({
      record: expect.objectContaining({ status: 'success' }) as object,
      refused: [],
      reserved: [],
    })
  })
})

describe('claiming', () => {
  test('starts an attempt', () => {
    const { record, delivery } = claim(recordOf([callbackOf('success'), waiting]), 'success', all)
    expect(delivery).toMatchObject({ event: 'success', state: 'running', attempts: 1, reversal: false })
    expect(findDelivery(record, 'success')).toBe(delivery)
  })

  test('does nothing with a delivery that runs, is settled or does not exist', () => {
    for (const state of ['running', 'done', 'refused', 'dead', 'withdrawn'] as const) {
      const record = recordOf([callbackOf('success'), { success: state }])
      expect(claim(record, 'success', all)).toEqual({ record, refused: [], reserved: [] })
      expect(claim(record, 'pending', all)).toEqual({ record, refused: [], reserved: [] })
    }
  })

  test('settles a delivery without a handler without an attempt, unless it was overtaken and is withdrawn', () => {
    const first = claim(recordOf([callbackOf('success'), waiting]), 'success', nobody)
    expect(first.delivery).toBeUndefined()
    expect(findDelivery(first.record, 'success')).toMatchObject({ state: 'done', hadNoHandler: true, attempts: 0 })
    const second = claim(recordOf([callbackOf('success'), waiting], callbackOf('fail')), 'success', nobody)
    expect(findDelivery(second.record, 'success')).toMatchObject({ state: 'withdrawn' })
  })

  test('gives a fail no previous success that was never delivered', () => {
    const record = recordOf([callbackOf('success'), waiting], [callbackOf('fail'), waiting])
    expect(findDelivery(record, 'fail')).toHaveProperty('previous')
    expect(claim(record, 'fail', all).delivery?.previous).toBeUndefined()
  })
})

describe('settling', () => {
  test('settles a delivery, or lets it wait with the code of the failure', () => {
    const running = claim(recordOf([callbackOf('success'), waiting]), 'success', all).record
    expect(findDelivery(settle(running, 'success', done, policy), 'success')).toMatchObject({ state: 'done' })
    const tried = findDelivery(settle(running, 'success', failed, policy), 'success')
    expect(tried).toMatchObject({ state: 'waiting', attempts: 1, dueAt: 1_020 })
    expect(tried && lastErrorOf(tried)).toEqual({ code: 'ERR_CONVERSION_HANDLER_FAILED' })
    expect(settle(running, 'pending', done, policy)).toBe(running)
  })

  test('counts an attempt whose process is gone, and makes the delivery dead after the last one', () => {
    const running = claim(recordOf([callbackOf('success'), waiting]), 'success', all).record
    expect(findDelivery(lapse(running, 'success', policy), 'success')).toMatchObject({
      state: 'waiting',
      attempts: 1,
      dueAt: 20,
      log: [{ what: 'lapsed', code: 'ERR_CONVERSION_ATTEMPT_LAPSED' }],
    })
    expect(findDelivery(lapse(running, 'success', { ...policy, maxAttempts: 1 }), 'success')).toMatchObject({
      state: 'dead',
      settledAt: 20,
    })
    expect(lapse(running, 'pending', policy)).toBe(running)
    const done1 = settle(running, 'success', done, policy)
    expect(lapse(done1, 'success', policy)).toBe(done1)
  })

  test.each([
    [1, 0.5, 1_000],
    [2, 0.5, 2_000],
    [5, 0, 12_800],
    [5, 1, 19_200],
    [13, 0, 3_276_800],
    [13, 1, 3_600_000],
    [1_000, 0, 3_600_000],
  ])('waits, after %i tries and with chance %d, for %i ms', (tries, random, ms) => {
    expect(retryDelayMs(tries, random)).toBe(ms)
  })

  test('is complete when no delivery waits or runs', () => {
    const states = ['waiting', 'running', 'done', 'dead', 'withdrawn', 'refused'] as const
    const settled = states.filter((success) => isSettled(recordOf([callbackOf('success'), { success }])))
    expect(settled).toEqual(['done', 'dead', 'withdrawn', 'refused'])
  })
})

describe('the log of a delivery', () => {
  const tried = (times: number, error: unknown) => {
    let record = recordOf([callbackOf('success'), waiting])
    for (let attempt = 0; attempt < times; attempt++) {
      record = settle(claim(record, 'success', all).record, 'success', { ...lateAgain, error }, policy)
    }
    return findDelivery(record, 'success')
  }
  const lateAgain = { state: 'waiting', code: 'ERR_CONVERSION_DELIVERY_HELD' } as const

  test('has its last 20 entries, and of those the last 5 messages, of 1,000 characters each', () => {
    const log = tried(200, new Error('x'.repeat(9_000)))?.log ?? []
    expect(log.map(({ message }) => message?.length)).toEqual([
      ...Array<undefined>(15).fill(undefined),
      ...Array<number>(5).fill(1_000),
    ])
    expect(JSON.stringify(log).length).toBeLessThan(8_000)
  })

  test.each([
    ['the local part', 990],
    ['the sign', 996],
    ['the domain', 985],
  ])('has no half of an address, cut in %s: it would outlive erase', (_where, before) => {
    const message = `${'x'.repeat(before - 1)} jane.d%2540example.com is unknown ${'x'.repeat(99)}`
    expect(tried(1, new Error(message))?.log[0]?.message).toBe(`${'x'.repeat(before - 1)} `)
  })

  test('keeps the last message however often it is replayed', () => {
    let delivery = tried(1, new Error('no such account'))
    for (let times = 0; delivery && times < 15; times++) {
      delivery = replayed(recordOf([callbackOf('success'), waiting]), delivery, new Map(), 30)
    }
    expect(delivery && lastErrorOf(delivery)?.message).toBe('no such account')
  })
})

test('a waiting delivery that was overtaken is withdrawn, unless it is queued', () => {
  const record = recordOf([callbackOf('pending'), waiting], [callbackOf('success'), waiting], callbackOf('fail'))
  const states = (changed: typeof record) => changed.deliveries.map(({ event, state }) => [event, state])
  expect(states(withdrawOvertaken(record, 20, none))).toEqual([
    ['pending', 'withdrawn'],
    ['success', 'withdrawn'],
    ['fail', 'done'],
  ])
  expect(states(withdrawOvertaken(record, 20, (key) => key === 'success'))).toContainEqual(['success', 'waiting'])
  const current = recordOf([callbackOf('success'), waiting])
  expect(withdrawOvertaken(current, 20, none)).toEqual(current)
})

describe('ids', () => {
  test('name the identity and the delivery', () => {
    expect(deliveryId('abc', 'goalComplete')).toBe('abc:goalComplete')
    expect(deliveryId('abc', 'reversal')).toBe('abc:reversal')
  })

  test('of a conflict are the same for the same content, in any order of parameters and at any time', () => {
    const callback = callbackOf('success', { purchaseValue: '5' })
    const { id } = conflictOf('abc', callback, [])
    expect(id).toMatch(/^abc:conflict:[0-9a-f]{16}$/)
    const reversed = Object.fromEntries(Object.entries(callback.params).reverse())
    expect(conflictOf('abc', { ...callback, params: reversed, receivedAt: 9 }, []).id).toBe(id)
    expect(conflictOf('abc', callbackOf('success', { purchaseValue: '6' }), []).id).not.toBe(id)
    expect(conflictOf('abc', callbackOf('fail', { purchaseValue: '5' }), []).id).not.toBe(id)
    expect(conflictOf('abd', callback, []).id).not.toBe(id)
  })
})
