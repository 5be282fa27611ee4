import type { Callback } from '../../lib/callback/conversion.js'
import { claim, claimNext, replayed, settle, type Claimer } from '../../lib/inbox/delivery.js'
import { findDelivery, withDelivery, type ClaimRecord, type Delivery } from '../../lib/inbox/records.js'
import { mayPay, reserve, type Reservation, type Holder, type Holders } from '../../lib/inbox/reservation.js'
import { callbackOf, receive, recordOf } from '../support/ledger.js'
import { orderIdentity } from '../../lib/inbox/claims.js'

const success: Callback = callbackOf('success', { orderID: '01001' })
const waiting = recordOf([success, { success: 'waiting' }])
const me = waiting.id
const own = waiting.identity
const shops = orderIdentity('', '1001')

const asking: Claimer = { handlers: { has: () => true }, hasConfirm: true, owner: 'me', now: 10, holders: new Map() }
const believing: Claimer = { ...asking, hasConfirm: false }
const other: Holder = { claim: 'other', isRunning: false }
const busy: Holder = { claim: 'other', isRunning: true }
const mine: Holder = { claim: me, isRunning: true }

/** Who has the order that the callback names, and who has the order by its number in the shop. */
const holding = (one?: Holder, two?: Holder): Holders =>
  new Map([...(one ? [[own, one] as const] : []), ...(two ? [[shops, two] as const] : [])])

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
const entitled = withDelivery(refused, 'success', replayed(refused, successOf(refused), holding(other), 30))
/** The same after an earlier yes, which had named the shop's own number. */
const named = { ...waiting, order: shops }
const entitledAgain = { ...entitled, order: shops }

describe('a success is claimed', () => {
  type Row = readonly [what: string, ClaimRecord, Claimer, Holders, state: string, reserved: readonly string[]]
  const table: readonly Row[] = [
    ['to be confirmed, while nobody has the order', waiting, asking, holding(), 'running', []],
    ['without confirm, which reserves the order at once', waiting, believing, holding(), 'running', [own]],
    ['where its claim has the order', waiting, believing, holding(mine), 'running', []],
    ['where its claim has both orders', named, believing, holding(mine, mine), 'running', []],
    ['without confirm, which reserves both orders', named, believing, holding(), 'running', [own, shops]],
    ['and refused where another claim has the order', waiting, asking, holding(other), 'refused', []],
    ['and refused without confirm, too', waiting, believing, holding(other), 'refused', []],
    ['and refused where another claim has it by its number', named, asking, holding(mine, other), 'refused', []],
    ['and refused for its number without confirm, too', named, believing, holding(mine, other), 'refused', []],
    ['and refused where nobody else has but its number', named, believing, holding(undefined, busy), 'refused', []],
    ['after a replay, to be confirmed', entitled, asking, holding(other), 'running', []],
    ['after a replay without confirm, which moves the order', entitled, believing, holding(other), 'running', [own]],
    ['after a replay, which moves both', entitledAgain, believing, holding(other, other), 'running', [own, shops]],
    [
      'after a replay, which moves the one that is missing',
      entitledAgain,
      believing,
      holding(mine, other),
      'running',
      [shops],
    ],
    ['later, while a delivery of the claim that has the order runs', entitled, believing, holding(busy), 'waiting', []],
    [
      'later, while a delivery of the claim that has the order by its number runs',
      entitledAgain,
      asking,
      holding(mine, busy),
      'waiting',
      [],
    ],
  ]
  test.each(table)('%s', (_what, record, claimer, holders, state, reserved) => {
    const claimed = claim(record, 'success', { ...claimer, holders })
    expect(successOf(claimed.record).state).toBe(state)
    expect(claimed.reserved).toEqual(reserved)
    expect(claimed.refused.map(({ takenBy }) => takenBy)).toEqual(state === 'refused' ? ['other'] : [])
    const isReserved = state === 'running' && !claimer.hasConfirm
    expect(claimed.record.order).toBe(isReserved ? (record.order ?? own) : record.order)
  })

  test('without a handler reserves nothing, even if another claim has the order', () => {
    const claimed = claim(waiting, 'success', { ...believing, handlers: { has: () => false }, holders: holding(other) })
    expect(successOf(claimed.record)).toMatchObject({ state: 'done', hadNoHandler: true })
    expect(claimed.reserved).toEqual([])
  })

  test('reserves nothing if no slot is free', () => {
    expect(claimNext(waiting, believing, () => false)).toEqual({ record: waiting, refused: [], reserved: [] })
  })

  test.each(['fail', 'pending'] as const)('a %s needs no order', (status) => {
    const record = recordOf([callbackOf(status), { [status]: 'waiting' }])
    const claimed = claim(record, status, { ...believing, holders: holding(other) })
    expect(claimed).toMatchObject({ delivery: { state: 'running' }, reserved: [], refused: [] })
  })
})

describe('a yes', () => {
  const running = claim(waiting, 'success', asking).record
  const again = claim(entitled, 'success', { ...asking, holders: holding(other) }).record
  const known = { ...running, order: shops }
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
      expect(successOf(came.record).takesOrder).toBeUndefined()
    }
  })
})

function brief(came: Reservation): object {
  if ('record' in came) return { reserved: came.reserved }
  return 'verdict' in came ? { state: came.verdict.state } : came
}

test('a replayed delivery that confirm had refused takes no order from another claim', () => {
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
  const next = withDelivery(no, 'success', replayed(no, successOf(no), holding(other), 30))
  expect(successOf(claim(next, 'success', { ...asking, holders: holding(other) }).record)).toMatchObject({
    state: 'refused',
    takenBy: 'other',
  })
})

test('an order is the same with blanks around it, and another one with a zero before it', () => {
  expect(orderIdentity('', ' 1001 ')).toBe(shops)
  expect(orderIdentity('', '01001')).toBe(own)
})

test('commit pays only while the claim has both orders', () => {
  const table: readonly (readonly [ClaimRecord, Holders, string | undefined, boolean])[] = [
    [waiting, holding(mine, mine), shops, true],
    [waiting, holding(mine), undefined, true],
    [waiting, holding(mine), shops, false],
    [waiting, holding(other), undefined, false],
    [named, holding(mine, mine), undefined, true],
    [named, holding(mine, other), undefined, false],
    [named, holding(other, mine), undefined, false],
    [named, holding(mine), undefined, false],
  ]
  for (const [record, holders, order, isRight] of table) {
    expect(mayPay(record, successOf(record), holders, order)).toBe(isRight)
  }
  const fail = recordOf([callbackOf('fail'), { fail: 'waiting' }])
  expect(fail.deliveries.every((each) => mayPay(fail, each, new Map()))).toBe(true)
})

describe('a replay moves an order once', () => {
  const both = recordOf([
    callbackOf('success', { orderID: '01001', goal_complete: '1' }),
    { success: 'waiting', goalComplete: 'waiting' },
  ])
  const taking: ClaimRecord = { ...both, deliveries: both.deliveries.map((each) => ({ ...each, takesOrder: true })) }
  const takes = ({ deliveries }: ClaimRecord) => deliveries.map((each) => each.takesOrder)

  test('and no other delivery of the claim takes the order again', () => {
    const believed = claim(taking, 'success', { ...believing, holders: holding(other) })
    expect(takes(believed.record)).toEqual([undefined, undefined])
    expect(believed.delivery).toEqual(successOf(believed.record))
    const asked = claim(taking, 'success', { ...asking, holders: holding(other) }).record
    expect(takes(asked)).toEqual([true, true])
    const confirmed = reserve(asked, successOf(asked), holding(other, other), shops)
    expect('record' in confirmed && takes(confirmed.record)).toEqual([undefined, undefined])
  })

  test('and not at all if the claim has got its orders meanwhile', () => {
    expect(takes(claim(taking, 'goalComplete', { ...believing, holders: holding(mine) }).record)).toEqual([
      undefined,
      undefined,
    ])
    expect(replayed(refused, successOf(refused), holding(mine), 30).takesOrder).toBeUndefined()
    expect(replayed({ ...refused, order: shops }, successOf(refused), holding(mine), 30).takesOrder).toBe(true)
  })

  test.each(['waiting', 'running'] as const)(
    'and not again by a delivery that was %s and is brought back by a later success',
    (state) => {
      const asked =
        state === 'running' ? claim(entitled, 'success', { ...asking, holders: holding(other) }).record : entitled
      const failed = receive(asked, callbackOf('fail', { orderID: '01001' })).record
      const again = receive(failed, success).record
      expect(successOf(again)).toMatchObject({ state })
      expect(successOf(again).takesOrder).toBeUndefined()
    },
  )
})
