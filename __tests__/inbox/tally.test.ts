import { countDeliveries, emptied, withDelivery, type Delivery } from '../../lib/inbox/records.js'
import { callbackCountsIn, deliveryCountsIn, sizeIn, Tally } from '../../lib/inbox/tally.js'
import { callbackOf, receive, recordOf } from '../support/ledger.js'

/* What changes add to the counters, computed from what the changes write. */

const dayMs = 86_400_000
const at = (status: 'pending' | 'success' | 'fail', day: number, more = {}) => ({
  ...callbackOf(status, more),
  receivedAt: day * dayMs + 5,
})
const unsettled = { pending: 'waiting', success: 'waiting', goalComplete: 'waiting', fail: 'waiting' } as const
const waitingOf = (callback: ReturnType<typeof at>) => recordOf([callback, unsettled])
const changed = (record: ReturnType<typeof recordOf>, changes: Partial<Delivery>) => {
  const [first] = record.deliveries
  if (first === undefined) throw new Error('no delivery')
  return withDelivery(record, first.event, { ...first, ...changes })
}

test('a new claim adds its deliveries, by state and by day and event', () => {
  const tally = new Tally()
  countDeliveries(undefined, waitingOf(at('success', 3, { goal_complete: '1' })), tally)
  tally.callback('accepted')
  countDeliveries(undefined, waitingOf(at('pending', 2)), tally)
  tally.callback('accepted')
  tally.callback('duplicate')
  expect(tally.sums).toEqual([
    ['callbacks.accepted', 2],
    ['callbacks.duplicate', 1],
    ['deliveries.waiting', 3],
  ])
  expect(tally.days).toEqual([
    { day: 2, event: 'pending', count: 1 },
    { day: 3, event: 'goalComplete', count: 1 },
    { day: 3, event: 'success', count: 1 },
  ])
})

test('a change moves the changed delivery to another counter, and nothing else', () => {
  const waiting = waitingOf(at('success', 3, { goal_complete: '1' }))
  const held = changed(waiting, { holds: 1 })
  const dated = changed(waiting, { heldUntil: 9 })
  const running = changed(held, { state: 'running', owner: 'me' })
  const sums = (before: typeof waiting, record: typeof waiting) => {
    const tally = new Tally()
    countDeliveries(before, record, tally)
    expect(tally.days).toEqual([])
    return tally.sums
  }
  const [less, more] = [-1, 1]
  expect(sums(waiting, held)).toEqual([
    ['deliveries.held', more],
    ['deliveries.waiting', less],
  ])
  expect(sums(held, dated)).toEqual([])
  expect(sums(dated, running)).toEqual([
    ['deliveries.held', less],
    ['deliveries.running', more],
  ])
  expect(sums(running, running)).toEqual([])
  expect(sums(running, emptied(running))).toEqual([])
})

test('a delivery that is brought back moves to the day of its new callback', () => {
  const first = recordOf(at('success', 1))
  const withdrawn = changed(receive(first, at('fail', 2)).record, { state: 'withdrawn' })
  const again = receive(withdrawn, at('success', 3)).record
  const tally = new Tally()
  countDeliveries(withdrawn, again, tally)
  expect(tally.days).toEqual([
    { day: 1, event: 'success', count: -1 },
    { day: 3, event: 'success', count: 1 },
  ])
})

test('counts that cancel each other out in one transaction are not written', () => {
  const waiting = waitingOf(at('success', 3))
  const running = changed(waiting, { state: 'running' })
  const tally = new Tally()
  countDeliveries(waiting, running, tally)
  countDeliveries(running, waiting, tally)
  tally.quarantine('refused', { rows: 1, bytes: 10 })
  tally.quarantine('refused', { rows: -1, bytes: -10 })
  expect([tally.sums, tally.days]).toEqual([[], []])
  countDeliveries(undefined, waiting, tally)
  tally.clear()
  expect([tally.sums, tally.days]).toEqual([[], []])
})

test('counters are read by name, and are never negative', () => {
  const counters = new Map([
    ['callbacks.refused', 3],
    ['deliveries.refused', 2],
    ['deliveries.running', -1],
    ['quarantine.refused.rows', 7],
    ['quarantine.refused.bytes', 70],
  ])
  expect(callbackCountsIn(counters)).toEqual({ accepted: 0, duplicate: 0, stale: 0, conflict: 0, refused: 3 })
  expect(deliveryCountsIn(counters)).toMatchObject({ refused: 2, running: 0, done: 0 })
  expect(sizeIn(counters, 'refused')).toEqual({ rows: 7, bytes: 70 })
  const tally = new Tally()
  tally.quarantine('refused', { rows: 1, bytes: 10 })
  expect(sizeIn(counters, 'refused', tally)).toEqual({ rows: 8, bytes: 80 })
})
