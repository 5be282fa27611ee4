import type { Callback } from '../../lib/callback/conversion.js'
import { claim, claimNext, replayed, settle, type Claimer } from '../../lib/inbox/delivery.js'
import type { Holder } from '../../lib/inbox/holders.js'
import { orderIdentity } from '../../lib/inbox/identity.js'
import { findDelivery, withDelivery, type ClaimRecord, type Delivery } from '../../lib/inbox/records.js'
import { hasOrder, orderOf, reserve, type Reservation } from '../../lib/inbox/reservation.js'
import { callbackOf, recordOf } from '../support/ledger.js'

const success: Callback = callbackOf('success', { orderID: '01001' })
const waiting = recordOf([success, { success: 'waiting' }])
const me = waiting.id
const own = waiting.identity
const shops = orderIdentity('', '1001')

const asking: Claimer = { hasHandler: () => true, hasConfirm: true, owner: 'me', now: 10 }
const believing: Claimer = { ...asking, hasConfirm: false }
const other: Holder = { claim: 'other', isRunning: false }
const busy: Holder = { claim: 'other', isRunning: true }

function successOf(record: ClaimRecord): Delivery {
  const delivery = findDelivery(record, 'success')
  if (delivery === undefined) throw new Error('no success')
  return delivery
}

/** The record after its success was refused for another claim and replayed by a person. */
const refused = settle(
  claim(waiting, 'success', asking).record,
  'success',
  { state: 'refused', takenBy: 'other' },
  {
    now: 20,
    random: 0,
    maxAttempts: 12,
    maxHoldMs: 0,
  },
)
const entitled = withDelivery(refused, 'success', replayed(successOf(refused), 30))

describe('a success is taken up', () => {
  const table: readonly (readonly [string, ClaimRecord, Claimer, Holder | undefined, object])[] = [
    ['to be confirmed, while nobody has the order', waiting, asking, undefined, { state: 'running', reserved: [] }],
    [
      'without confirm, which reserves the order at once',
      waiting,
      believing,
      undefined,
      { state: 'running', reserved: [own] },
    ],
    [
      'where its claim has the order',
      waiting,
      believing,
      { claim: me, isRunning: false },
      { state: 'running', reserved: [] },
    ],
    ['and refused where another claim has the order', waiting, asking, other, { state: 'refused', reserved: [] }],
    ['and refused without confirm, too', waiting, believing, other, { state: 'refused', reserved: [] }],
    ['after a replay, to be confirmed', entitled, asking, other, { state: 'running', reserved: [] }],
    [
      'after a replay without confirm, which moves the order',
      entitled,
      believing,
      other,
      { state: 'running', reserved: [own] },
    ],
    [
      'later, while the claim that has the order is being delivered',
      entitled,
      believing,
      busy,
      { state: 'waiting', reserved: [] },
    ],
  ]
  test.each(table)(
    '%s',
    (_what, record, claimer, holder, { state, reserved }: { state?: string; reserved?: string[] }) => {
      const claimed = claim(record, 'success', { ...claimer, ...(holder && { holder }) })
      expect(successOf(claimed.record).state).toBe(state)
      expect(claimed.reserved).toEqual(reserved)
      expect(claimed.taken.map(({ takenBy }) => takenBy)).toEqual(state === 'refused' ? ['other'] : [])
    },
  )

  test('reserves nothing where its event has no handler, whoever has the order', () => {
    const claimed = claim(waiting, 'success', { ...believing, hasHandler: () => false, holder: other })
    expect(successOf(claimed.record)).toMatchObject({ state: 'done', isUnheard: true })
    expect(claimed.reserved).toEqual([])
  })

  test('reserves nothing where there is no slot', () => {
    expect(claimNext(waiting, believing, false)).toEqual({ record: waiting, taken: [], reserved: [] })
  })

  test.each(['fail', 'pending'] as const)('a %s needs no order', (status) => {
    const record = recordOf([callbackOf(status), { [status]: 'waiting' }])
    const claimed = claim(record, status, { ...believing, holder: other })
    expect(claimed).toMatchObject({ delivery: { state: 'running' }, reserved: [], taken: [] })
  })
})

describe('a yes', () => {
  const running = claim(waiting, 'success', asking).record
  const again = claim(entitled, 'success', { ...asking, holder: other }).record
  const known = { ...running, order: shops }
  const mine: Holder = { claim: me, isRunning: true }
  const table: readonly (readonly [string, ClaimRecord, string | undefined, Record<string, Holder>, object])[] = [
    ['reserves the order as sent', running, undefined, {}, { reserved: [own] }],
    ['reserves the order that it names, too', running, shops, {}, { reserved: [own, shops] }],
    ['reserves nothing twice', known, shops, { [own]: mine, [shops]: mine }, { reserved: [] }],
    ['reserves what is missing', known, shops, { [own]: mine }, { reserved: [shops] }],
    ['is too late where another claim has the order', running, undefined, { [own]: other }, { state: 'refused' }],
    [
      'is too late where another claim has it under another spelling',
      running,
      shops,
      { [shops]: busy },
      { state: 'refused' },
    ],
    ['that names another order than before fails', known, undefined, {}, { isAnotherOrder: true }],
    [
      'after a replay takes both from the claims that have them',
      again,
      shops,
      { [own]: other, [shops]: other },
      { reserved: [own, shops] },
    ],
    ['after a replay waits for the claim that has the order', again, shops, { [shops]: busy }, { state: 'waiting' }],
  ]
  test.each(table)('%s', (_what, record, order, holders, expected) => {
    const came = reserve(record, successOf(record), new Map(Object.entries(holders)), order)
    expect(brief(came)).toEqual(expected)
    if ('record' in came) {
      expect(came.record.order).toBe(order ?? own)
      expect(successOf(came.record).takes).toBeUndefined()
    }
  })
})

function brief(came: Reservation): object {
  if ('record' in came) return { reserved: came.reserved }
  return 'verdict' in came ? { state: came.verdict.state } : came
}

test('a replay of what was refused by confirm takes no order from anybody', () => {
  const no = settle(
    claim(waiting, 'success', asking).record,
    'success',
    { state: 'refused' },
    {
      now: 20,
      random: 0,
      maxAttempts: 12,
      maxHoldMs: 0,
    },
  )
  const next = withDelivery(no, 'success', replayed(successOf(no), 30))
  expect(successOf(claim(next, 'success', { ...asking, holder: other }).record)).toMatchObject({
    state: 'refused',
    takenBy: 'other',
  })
})

test('the orders 1001, "1001" and 1001n are one, and none of them is 01001', () => {
  const delivery = successOf(waiting)
  expect(orderOf(delivery, '1001')).toBe(shops)
  expect(orderOf(delivery, ' 1001 ')).toBe(shops)
  expect(orderOf(delivery, '01001')).toBe(own)
  expect(orderOf(delivery, undefined)).toBeUndefined()
})

test('commit pays only while the claim has both orders', () => {
  const held = (...keys: readonly string[]) => new Map(keys.map((key) => [key, { claim: me, isRunning: true }]))
  const delivery = successOf(waiting)
  expect(hasOrder(waiting, delivery, held(own, shops), shops)).toBe(true)
  expect(hasOrder(waiting, delivery, held(own), undefined)).toBe(true)
  expect(hasOrder(waiting, delivery, held(own), shops)).toBe(false)
  expect(hasOrder(waiting, delivery, new Map([[own, other]]), undefined)).toBe(false)
  const fail = recordOf([callbackOf('fail'), { fail: 'waiting' }])
  expect(fail.deliveries.every((each) => hasOrder(fail, each, new Map(), undefined))).toBe(true)
})
