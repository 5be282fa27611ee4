import { claim, claimNext, replayed, settle, withdrawOvertaken } from '../../lib/inbox/delivery.js'
import type { Verdict } from '../../lib/inbox/inbox.js'
import { findDelivery, isHeld, type Delivery, type ClaimRecord } from '../../lib/inbox/records.js'
import { failed, held } from '../support/host.js'
import { callbackOf, receive, recordOf } from '../support/ledger.js'

/* A delivery that confirm holds, until a date or not. */

const dayMs = 86_400_000
const until = (date: number): Verdict => ({ ...held, until: date }) as Verdict
const waiting = { success: 'waiting', goalComplete: 'waiting' } as const
const fresh = recordOf([callbackOf('success'), waiting])
const claimer = (now: number) => ({
  handlers: { has: () => true },
  hasConfirm: false,
  owner: 'me',
  now,
  holders: new Map(),
})

/** The record after attempts, each at its time. */
function after(record: ClaimRecord, ...attempts: readonly (readonly [now: number, Verdict])[]): ClaimRecord {
  const policy = { random: 0.5, maxAttempts: 12, maxHoldMs: 7 * dayMs }
  return attempts.reduce(
    (tried, [now, verdict]) =>
      settle(claim(tried, 'success', claimer(now)).record, 'success', verdict, { ...policy, now }),
    record,
  )
}

function successOf(record: ClaimRecord): Delivery {
  const delivery = findDelivery(record, 'success')
  if (delivery === undefined) throw new Error('no success')
  return delivery
}

const isAsked = (record: ClaimRecord, now: number): boolean => claimNext(record, claimer(now)).delivery !== undefined

test('a date is due at that time and not before, however far ahead it is', () => {
  const record = after(fresh, [0, until(30 * dayMs)])
  expect(successOf(record)).toMatchObject({ state: 'waiting', attempts: 0, heldUntil: 30 * dayMs, dueAt: 30 * dayMs })
  expect([0, 1, 29 * dayMs, 30 * dayMs - 1, 30 * dayMs].map((now) => isAsked(record, now))).toEqual([
    ...Array<boolean>(4).fill(false),
    true,
  ])
})

test.each([-400 * dayMs, -dayMs, dayMs])('a clock that jumps by %d ms does not change the date', (jump) => {
  const record = after(fresh, [dayMs, until(30 * dayMs)])
  expect(isAsked(record, dayMs + jump)).toBe(false)
  expect(isAsked(record, 30 * dayMs)).toBe(true)
})

test('a retry and a hold, also after a date, are due at once when the clock has jumped back', () => {
  for (const verdict of [failed, held]) {
    expect(isAsked(after(fresh, [9 * dayMs, verdict]), dayMs)).toBe(true)
    expect(isAsked(after(fresh, [0, until(8 * dayMs)], [9 * dayMs, verdict]), dayMs)).toBe(true)
  }
})

test('a delivery that takes an order waits, once its date has come, for the running delivery of the other claim and no date', () => {
  const { deliveries, ...head } = after(fresh, [0, until(30 * dayMs)])
  const record = { ...head, deliveries: deliveries.map((delivery) => ({ ...delivery, takesOrder: true })) }
  const now = 30 * dayMs
  const holders = new Map([[record.identity, { claim: 'other', isRunning: true }]])
  const waits = claim(record, 'success', { ...claimer(now), holders }).record
  expect(successOf(waits)).toMatchObject({ state: 'waiting', dueAt: now + 5_000 })
  expect(successOf(waits).heldUntil).toBeUndefined() // else stores would find the delivery again and again
  expect([now + 4_999, now + 5_000].map((at) => isAsked(waits, at))).toEqual([false, true])
})

test('a past date is a hold', () => {
  expect(after(fresh, [9, until(9)])).toEqual(after(fresh, [9, held]))
})

test('a date resets the backoff', () => {
  const delays = (...attempts: Parameters<typeof after>[1][]) => {
    const { dueAt } = successOf(after(fresh, ...attempts))
    return dueAt - Number(attempts.at(-1)?.[0])
  }
  const holds = [1, 2, 3].map((now) => [now, held] as const)
  expect(delays(...holds)).toBe(4_000)
  expect(delays(...holds, [4, until(dayMs)], [dayMs, held])).toBe(1_000)
  expect(delays([1, failed], [2, failed], [4, until(dayMs)], [dayMs, held])).toBe(1_000)
})

test('holds and failures each have a backoff of their own', () => {
  const dueAfter = (verdict: Verdict, ...before: readonly Verdict[]) =>
    successOf(after(fresh, ...[...before, verdict].map((each) => [0, each] as const))).dueAt
  expect(dueAfter(failed, held, held, held)).toBe(1_000)
  expect(dueAfter(failed, failed)).toBe(2_000)
  expect(dueAfter(held, failed, failed, failed)).toBe(1_000)
  expect(dueAfter(held, held, held)).toBe(4_000)
})

describe('maxHoldMs', () => {
  const stateAt = (now: number, ...before: Parameters<typeof after>[1][]) =>
    successOf(after(fresh, ...before, [now, held])).state

  test('counts from the first hold where there is no date', () => {
    expect(stateAt(8 * dayMs - 1, [dayMs, held])).toBe('waiting')
    expect(stateAt(8 * dayMs, [dayMs, held])).toBe('dead')
  })

  test('counts from the first date, not from holds before it nor from later dates', () => {
    const first = [[0, held] as const, [6 * dayMs, until(30 * dayMs)] as const]
    const later = [...first, [30 * dayMs, held] as const, [31 * dayMs, until(36 * dayMs)] as const]
    for (const before of [first, later]) {
      expect(stateAt(37 * dayMs - 1, ...before)).toBe('waiting')
      expect(stateAt(37 * dayMs, ...before)).toBe('dead')
    }
    expect(successOf(after(fresh, ...later, [37 * dayMs, until(40 * dayMs)])).state).toBe('dead')
  })
})

test('a delivery is held while it waits after a hold or for a date, not after a failure, while running or when settled', () => {
  const heldAfter = (...verdicts: readonly Verdict[]) =>
    isHeld(successOf(after(fresh, ...verdicts.map((verdict) => [0, verdict] as const))))
  expect([heldAfter(), heldAfter(failed), heldAfter(held, failed), heldAfter(until(9), failed)]).toEqual([
    false,
    false,
    false,
    false,
  ])
  expect([heldAfter(held), heldAfter(until(9)), heldAfter(failed, held)]).toEqual([true, true, true])
  for (const verdict of [held, until(9)]) {
    const record = after(fresh, [0, verdict])
    expect(isHeld(successOf(claim(record, 'success', claimer(9)).record))).toBe(false)
    expect(isHeld(successOf(after(record, [9, { state: 'refused' }])))).toBe(false)
    expect(isHeld(replayed(record, successOf(record), new Map(), 1))).toBe(false)
  }
})

test('a replayed delivery has no dates: confirm is asked at once, and maxHoldMs counts anew', () => {
  const dated = after(fresh, [0, until(30 * dayMs)])
  const { log, ...delivery } = replayed(dated, successOf(dated), new Map(), 1)
  const { log: _none, ...before } = successOf(fresh)
  expect(delivery).toEqual({ ...before, startedAt: 0 })
  expect(log.map(({ what }) => what)).toEqual(['held', 'replayed'])
})

test('a held success that a fail withdraws and a later success brings back has no date', () => {
  const failedLater = receive(after(fresh, [0, until(30 * dayMs)]), callbackOf('fail')).record
  const withdrawn = withdrawOvertaken(failedLater, 5)
  expect(successOf(withdrawn)).toMatchObject({ state: 'withdrawn', settledAt: 5 })
  expect(successOf(withdrawn).heldUntil).toBeUndefined()
  const again = successOf(receive(withdrawn, callbackOf('success')).record)
  expect(again).toMatchObject({ state: 'waiting', dueAt: 0, holds: 0 })
  expect(again.firstDate).toBeUndefined()
})
