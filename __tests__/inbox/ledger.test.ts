import type { Callback } from '../../lib/callback/conversion.js'
import { decide } from '../../lib/inbox/ledger.js'
import type { ClaimRecord } from '../../lib/inbox/records.js'
import type { ConversionStatus } from '../../lib/index.js'
import { callbackOf, receive, recordOf } from '../support/ledger.js'
import type { ConversionEvent, Outcome } from '../../lib/inbox/vocabulary.js'

/* decide(): the ledger's table cell by cell, the goal, and conflicts. Sequences of callbacks are in properties/ledger. */

const withGoal = { goal_complete: '1' }
const pending = callbackOf('pending')
const success = callbackOf('success')
const fail = callbackOf('fail')

const rows: Readonly<Record<string, ClaimRecord | undefined>> = {
  nothing: undefined,
  pending: recordOf(pending),
  success: recordOf(success),
  'fail alone': recordOf(fail),
  'fail after a success that was not delivered': recordOf([success, { success: 'waiting' }], fail),
  'fail after a success that confirm refused': recordOf([success, { success: 'refused' }], fail),
  'fail after a delivered success': recordOf(success, fail),
  'fail, not told yet, after a delivered success': recordOf(success, [fail, { reversal: 'waiting' }]),
  'fail after a delivered goalComplete alone': recordOf(
    [callbackOf('success', withGoal), { success: 'waiting' }],
    fail,
  ),
}

type Cell = readonly [Outcome, ...ConversionEvent[]]
const event = (name: ConversionEvent): Cell => ['accepted', name]

const table: readonly (readonly [recorded: string, cells: Readonly<Record<ConversionStatus, Cell>>])[] = [
  ['nothing', { pending: event('pending'), success: event('success'), fail: event('fail') }],
  ['pending', { pending: ['duplicate'], success: event('success'), fail: event('fail') }],
  ['success', { pending: ['stale'], success: ['duplicate'], fail: event('fail') }],
  ['fail alone', { pending: ['stale'], success: event('success'), fail: ['duplicate'] }],
  [
    'fail after a success that was not delivered',
    { pending: ['stale'], success: event('success'), fail: ['duplicate'] },
  ],
  ['fail after a success that confirm refused', { pending: ['stale'], success: event('success'), fail: ['duplicate'] }],
  ['fail after a delivered success', { pending: ['stale'], success: ['conflict'], fail: ['duplicate'] }],
  ['fail, not told yet, after a delivered success', { pending: ['stale'], success: ['conflict'], fail: ['duplicate'] }],
  ['fail after a delivered goalComplete alone', { pending: ['stale'], success: ['conflict'], fail: ['duplicate'] }],
]

describe.each(table)('with %s recorded', (recorded, cells) => {
  test.each(Object.entries(cells))('a %s comes to %j', (status, [outcome, ...events]) => {
    const record = rows[recorded]
    const decision = decide(record, callbackOf(status as ConversionStatus))
    expect({ outcome: decision.outcome, events: decision.events }).toEqual({ outcome, events })
    const expectedStatus = outcome === 'accepted' ? status : record?.status
    expect(decision.next.status).toBe(expectedStatus)
  })
})

test('a decision has the recorded status as previous, and none for the first callback', () => {
  expect(decide(undefined, success).previous).toBeUndefined()
  expect(decide(rows.pending, success).previous).toEqual({ status: 'pending', goalComplete: false })
  expect(decide(rows['fail alone'], success).previous).toEqual({ status: 'fail', goalComplete: false })
  expect(decide(recordOf(callbackOf('success', withGoal)), fail).previous).toEqual({
    status: 'success',
    goalComplete: true,
  })
})

test('a success without a handler is settled, but a later fail is treated as if the success was not delivered', () => {
  const [delivery] = recordOf(success).deliveries
  const unheard = { ...recordOf(success), deliveries: delivery ? [{ ...delivery, hadNoHandler: true }] : [] }
  const failed = receive(unheard, fail).record
  expect(receive(failed, success)).toMatchObject({ outcome: 'accepted', events: ['success'] })
})

describe('goalComplete', () => {
  const outcomeOf = (record: ClaimRecord | undefined, callback: Callback) => {
    const { outcome, events } = receive(record, callback)
    return [outcome, ...events]
  }

  test('is delivered with a success that says goal_complete=1', () => {
    expect(outcomeOf(undefined, callbackOf('success', withGoal))).toEqual(['accepted', 'success', 'goalComplete'])
  })

  test('waits for the success if a pending said goal_complete=1, the first pending or a repeated one', () => {
    expect(outcomeOf(undefined, callbackOf('pending', withGoal))).toEqual(['accepted', 'pending'])
    const first = recordOf(callbackOf('pending', withGoal))
    const second = recordOf(pending, callbackOf('pending', withGoal))
    for (const record of [first, second]) {
      expect(outcomeOf(record, success)).toEqual(['accepted', 'success', 'goalComplete'])
    }
  })

  test('is delivered alone, once, if a repeated success is the first callback to say goal_complete=1', () => {
    expect(outcomeOf(recordOf(success), callbackOf('success', withGoal))).toEqual(['accepted', 'goalComplete'])
    const told = recordOf(success, callbackOf('success', withGoal))
    expect(outcomeOf(told, callbackOf('success', withGoal))).toEqual(['duplicate'])
    expect(outcomeOf(told, success)).toEqual(['duplicate'])
  })

  test('is brought back with a success that a fail withdrew', () => {
    const withdrawn = recordOf([callbackOf('success', withGoal), { success: 'waiting', goalComplete: 'waiting' }], fail)
    expect(outcomeOf(withdrawn, success)).toEqual(['accepted', 'success', 'goalComplete'])
  })

  test.each([
    ['a fail', recordOf(callbackOf('fail', withGoal)), ['accepted', 'success']],
    ['a repeated fail', recordOf(fail, callbackOf('fail', withGoal)), ['accepted', 'success']],
    ['a stale pending', recordOf(fail, callbackOf('pending', withGoal)), ['accepted', 'success']],
    ['a pending after the success', recordOf(success, callbackOf('pending', withGoal)), ['duplicate']],
    ['nobody', recordOf(callbackOf('pending', { goal_complete: undefined })), ['accepted', 'success']],
  ])('is not delivered if %s said goal_complete=1', (_who, record, expected) => {
    expect(outcomeOf(record, success)).toEqual(expected)
  })

  test('is read from the trimmed value', () => {
    expect(outcomeOf(undefined, callbackOf('success', { goal_complete: ' 1\t' }))).toContain('goalComplete')
  })
})

describe('a conflict', () => {
  test('is a repeated success with another amount, not a duplicate', () => {
    const record = recordOf(success)
    const decision = receive(record, callbackOf('success', { purchaseValue: '1000.01' }))
    expect(decision).toMatchObject({ outcome: 'conflict', events: [], keys: [] })
    expect(decision.record).toEqual(record)
  })

  const agreements: readonly (readonly [string, Callback, Callback, Outcome])[] = [
    ['the same amount written otherwise', success, callbackOf('success', { purchaseValue: '01000.00' }), 'duplicate'],
    ['an amount that one side lacks', success, callbackOf('success', { purchaseValue: undefined }), 'duplicate'],
    ['another amount of a fail', success, callbackOf('fail', { purchaseValue: '0' }), 'accepted'],
    ['another amount of a pending', success, callbackOf('pending', { purchaseValue: '5' }), 'stale'],
    ['another amount than a pending said', pending, callbackOf('success', { purchaseValue: '5' }), 'accepted'],
    ['another name', success, callbackOf('success', { referrer_name: 'Rob' }), 'duplicate'],
    ['another custom value', success, callbackOf('success', { referrer_customValue: 'y' }), 'duplicate'],
    ['another counter', success, callbackOf('success', { referrer_converts: '3' }), 'duplicate'],
  ]
  test.each(agreements)('is not %s', (_what, recorded, arriving, outcome) => {
    expect(receive(recordOf(recorded), arriving).outcome).toBe(outcome)
  })

  test('is decided by the first amount that a success stated', () => {
    const without = callbackOf('success', { purchaseValue: undefined })
    const record = recordOf(without, success)
    expect(receive(record, callbackOf('success', { purchaseValue: '5' })).outcome).toBe('conflict')
    expect(receive(record, without).outcome).toBe('duplicate')
  })

  test('is also a success of another amount that would bring a withdrawn one back', () => {
    const withdrawn = recordOf([success, { success: 'waiting' }], fail)
    expect(receive(withdrawn, callbackOf('success', { purchaseValue: '5' })).outcome).toBe('conflict')
  })

  test('changes nothing in the ledger, so its goal_complete=1 does not count', () => {
    const claimed = receive(recordOf(success), callbackOf('success', { ...withGoal, purchaseValue: '5' })).record
    expect(receive(claimed, success).outcome).toBe('duplicate')
    expect(claimed.goal).toBe(false)
  })
})
