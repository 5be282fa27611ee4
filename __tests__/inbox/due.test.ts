import { due } from '../../lib/inbox/ledger.js'
import { findDelivery, type DeliveryKey, type ClaimRecord } from '../../lib/inbox/records.js'
import { callbackOf, recordOf } from '../support/ledger.js'

/* due(): whether a delivery that is being claimed runs, and as what. */

const withGoal = { goal_complete: '1' }
const pending = callbackOf('pending')
const success = callbackOf('success')
const fail = callbackOf('fail')
const waiting = { pending: 'waiting', success: 'waiting', goalComplete: 'waiting', fail: 'waiting' } as const

function dueOf(record: ClaimRecord, key: DeliveryKey) {
  const delivery = findDelivery(record, key)
  if (delivery === undefined) throw new Error(`no ${key} recorded`)
  return due(record, delivery)
}

const withdraw = { action: 'withdraw' }
const plain = { action: 'deliver', reversal: false }
const reversal = { action: 'deliver', reversal: true }

test('the first delivery of a claim has no previous', () => {
  expect(dueOf(recordOf([pending, waiting]), 'pending')).toEqual(plain)
  expect(dueOf(recordOf([success, waiting]), 'success')).toEqual(plain)
  expect(dueOf(recordOf([fail, waiting]), 'fail')).toEqual(plain)
})

test('a later delivery has the status that was recorded before as previous', () => {
  const previous = { status: 'pending', goalComplete: false }
  expect(dueOf(recordOf(pending, [success, waiting]), 'success')).toEqual({ ...plain, previous })
  expect(dueOf(recordOf(pending, [fail, waiting]), 'fail')).toEqual({ ...plain, previous })
})

describe('success and goalComplete', () => {
  test('are withdrawn once a fail is recorded after them, in any state of the fail', () => {
    for (const state of ['waiting', 'running', 'done', 'dead'] as const) {
      const record = recordOf([callbackOf('success', withGoal), waiting], [fail, { fail: state }])
      expect(dueOf(record, 'success')).toEqual(withdraw)
      expect(dueOf(record, 'goalComplete')).toEqual(withdraw)
    }
  })

  test('are delivered when a later success brings them back', () => {
    const record = recordOf([callbackOf('success', withGoal), waiting], fail, [success, waiting])
    const previous = { status: 'fail', goalComplete: false }
    expect(dueOf(record, 'success')).toEqual({ ...plain, previous })
    expect(dueOf(record, 'goalComplete')).toEqual({ ...plain, previous })
  })

  test('do not wait for each other', () => {
    const record = recordOf([callbackOf('success', withGoal), { success: 'done', goalComplete: 'waiting' }])
    expect(dueOf(record, 'goalComplete')).toEqual(plain)
  })
})

describe('a delivery that another status has overtaken', () => {
  test('a pending is withdrawn after a delivered success and after a delivered fail', () => {
    expect(dueOf(recordOf([pending, waiting], success), 'pending')).toEqual(withdraw)
    expect(dueOf(recordOf([pending, waiting], fail), 'pending')).toEqual(withdraw)
  })

  test('a pending is delivered while later deliveries are undelivered', () => {
    for (const state of ['waiting', 'running', 'dead', 'refused'] as const) {
      expect(dueOf(recordOf([pending, waiting], [success, { success: state }]), 'pending')).toEqual(plain)
    }
  })

  test('a fail is withdrawn after a later delivered success', () => {
    expect(dueOf(recordOf([fail, waiting], success), 'fail')).toEqual(withdraw)
  })

  test('a fail is delivered while the later success is undelivered', () => {
    expect(dueOf(recordOf([fail, waiting], [success, waiting]), 'fail')).toEqual(plain)
  })
})

describe('a fail', () => {
  test('is the reversal after a delivered success', () => {
    const record = recordOf(success, [fail, { reversal: 'waiting' }])
    expect(dueOf(record, 'reversal')).toEqual({ ...reversal, previous: { status: 'success', goalComplete: false } })
  })

  test('has in previous whether the goal was delivered, not whether it was reported', () => {
    const goal = callbackOf('success', withGoal)
    const previousOf = (state: 'done' | 'waiting') =>
      dueOf(recordOf([goal, { goalComplete: state }], [fail, { reversal: 'waiting' }]), 'reversal')
    expect(previousOf('done')).toEqual({ ...reversal, previous: { status: 'success', goalComplete: true } })
    expect(previousOf('waiting')).toEqual({ ...reversal, previous: { status: 'success', goalComplete: false } })
  })

  test('is the reversal after a delivered goalComplete alone', () => {
    const record = recordOf([callbackOf('success', withGoal), { success: 'dead' }], [fail, { reversal: 'waiting' }])
    expect(dueOf(record, 'reversal')).toEqual({ ...reversal, previous: { status: 'success', goalComplete: true } })
  })

  test('becomes the reversal when the success that ran as it arrived was delivered', () => {
    const record = recordOf([success, { success: 'running' }], [fail, waiting])
    const delivered = {
      ...record,
      deliveries: record.deliveries.map(
        (each) => ({ ...each, state: each.event === 'fail' ? each.state : 'done' }) as const,
      ),
    }
    expect(dueOf(delivered, 'fail')).toEqual({ ...reversal, previous: { status: 'success', goalComplete: false } })
  })

  test('is a plain fail after a success that was never delivered, with the previous of that success', () => {
    for (const state of ['waiting', 'dead', 'refused', 'withdrawn'] as const) {
      expect(dueOf(recordOf([success, { success: state }], [fail, waiting]), 'fail')).toEqual(plain)
      const afterPending = recordOf(pending, [success, { success: state }], [fail, waiting])
      expect(dueOf(afterPending, 'fail')).toEqual({ ...plain, previous: { status: 'pending', goalComplete: false } })
    }
  })

  test('is a plain fail after an undelivered success whose repeat brought an undelivered goal', () => {
    const record = recordOf(pending, [success, waiting], [callbackOf('success', withGoal), waiting], [fail, waiting])
    expect(dueOf(record, 'fail')).toEqual({ ...plain, previous: { status: 'pending', goalComplete: false } })
  })

  test('is withdrawn if a plain fail is done and no success was delivered since', () => {
    const record = recordOf(fail, [success, { success: 'dead' }], [fail, { reversal: 'waiting' }])
    expect(dueOf(record, 'reversal')).toEqual(withdraw)
  })

  test('is the reversal if a plain fail is done and a success was delivered since', () => {
    const record = recordOf(fail, success, [fail, { reversal: 'waiting' }])
    expect(dueOf(record, 'reversal')).toEqual({ ...reversal, previous: { status: 'success', goalComplete: false } })
  })
})
