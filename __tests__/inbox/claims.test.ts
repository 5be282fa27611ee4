import type { Callback } from '../../lib/callback/conversion.js'
import {
  belongsTo,
  differences,
  fittingPeopleHashes,
  identityOf,
  hashOfPeople,
  peopleOf,
  rivalId,
} from '../../lib/inbox/claims.js'
import { emptied, type ClaimRecord } from '../../lib/inbox/records.js'
import { lockKey } from '../../lib/inbox/stores/postgres-sql.js'
import { callbackOf, receive } from '../support/ledger.js'

type Status = Callback['status']
/** Who referred whom; `_` leaves an address out. */
type Who = `${string}>${string}`

const address = (name: string): string | undefined => (name === '_' ? undefined : `${name}@example.com`)

function callback(status: Status, who: Who, changes: Readonly<Record<string, string>> = {}): Callback {
  const [referrer = '_', referee = '_'] = who.split('>')
  return callbackOf(status, {
    orderID: '1001',
    referrer_email: address(referrer),
    referee_email: address(referee),
    ...changes,
  })
}

const identity = identityOf(callback('success', '_>_'))

/** The claims that callbacks make, one after another, by the rows themselves; `holder` is the position of the one that has the order. */
function claimsOf(...callbacks: readonly Callback[]): readonly ClaimRecord[] {
  const claims: ClaimRecord[] = []
  for (const [receivedAt, each] of callbacks.entries()) {
    const arriving = { ...each, receivedAt }
    const belonging = belongsTo(arriving, identity, claims, undefined)
    if ('conflictWith' in belonging) throw new Error('a conflict')
    const recorded = 'recorded' in belonging ? belonging.recorded : undefined
    const { record } = receive(recorded, arriving)
    const claim = { ...record, ...belonging.head, deliveries: record.deliveries }
    const at = claims.findIndex(({ id }) => id === claim.id)
    if (at === -1) claims.push(claim)
    else claims[at] = claim
  }
  return claims
}

/** A row, and the position of the claim: `1 #0`, `4 new`, `6 !0` where it is a conflict. */
function rowOf(arriving: Callback, claims: readonly ClaimRecord[], holder?: number): string {
  const belonging = belongsTo(arriving, identity, claims, holder === undefined ? undefined : claims[holder]?.id)
  const at = ({ id }: ClaimRecord): string => String(claims.findIndex((claim) => claim.id === id))
  if ('conflictWith' in belonging) return `${String(belonging.row)} !${at(belonging.conflictWith)}`
  return 'recorded' in belonging
    ? `${String(belonging.row)} #${at(belonging.recorded)}`
    : `${String(belonging.row)} new`
}

interface Case {
  readonly recorded: readonly (readonly [Status, Who])[]
  readonly holder?: number
  readonly arrives: readonly [Status, Who]
  readonly row: string
}

const cases: readonly Case[] = [
  { recorded: [], arrives: ['success', 'ann>bob'], row: '4 new' },
  { recorded: [], arrives: ['fail', '_>_'], row: '4 new' },

  { recorded: [['success', 'ann>bob']], arrives: ['success', 'ann>bob'], row: '1 #0' },
  { recorded: [['success', 'ann>bob']], arrives: ['fail', 'ann>bob'], row: '1 #0' },
  { recorded: [['success', '_>_']], arrives: ['success', '_>_'], row: '1 #0' },
  {
    recorded: [
      ['success', 'eve>eve'],
      ['success', 'ann>bob'],
    ],
    arrives: ['fail', 'ann>bob'],
    row: '1 #1',
  },
  {
    recorded: [
      ['success', 'eve>eve'],
      ['success', 'ann>bob'],
    ],
    holder: 0,
    arrives: ['fail', 'ann>bob'],
    row: '1 #1',
  },

  { recorded: [['success', 'ann>bob']], holder: 0, arrives: ['success', 'eve>eve'], row: '2 !0' },
  { recorded: [['success', 'ann>bob']], holder: 0, arrives: ['fail', 'eve>bob'], row: '2 !0' },
  { recorded: [['success', 'ann>bob']], holder: 0, arrives: ['fail', '_>_'], row: '2 #0' },
  { recorded: [['success', 'ann>bob']], holder: 0, arrives: ['success', '_>bob'], row: '2 #0' },
  { recorded: [['success', '_>_']], holder: 0, arrives: ['success', 'ann>bob'], row: '2 #0' },
  {
    recorded: [
      ['success', 'eve>eve'],
      ['success', 'ann>bob'],
    ],
    holder: 1,
    arrives: ['fail', '_>bob'],
    row: '2 #1',
  },

  { recorded: [['pending', '_>_']], arrives: ['success', 'ann>bob'], row: '3 #0' },
  { recorded: [['pending', 'ann>_']], arrives: ['success', 'ann>bob'], row: '3 #0' },
  { recorded: [['fail', '_>bob']], arrives: ['success', 'ann>bob'], row: '3 #0' },
  {
    recorded: [
      ['pending', 'ann>_'],
      ['pending', 'eve>_'],
    ],
    arrives: ['success', 'eve>bob'],
    row: '3 #1',
  },
  { recorded: [['pending', 'ann>bob']], arrives: ['success', 'ann>_'], row: '4 new' },
  { recorded: [['success', '_>_']], arrives: ['success', 'ann>bob'], row: '4 new' },

  { recorded: [['success', 'ann>bob']], arrives: ['success', 'eve>eve'], row: '4 new' },
  { recorded: [['success', 'ann>bob']], arrives: ['success', '_>_'], row: '4 new' },
  { recorded: [['success', 'ann>bob']], arrives: ['fail', 'eve>eve'], row: '4 new' },
  { recorded: [['pending', 'ann>bob']], arrives: ['pending', 'eve>bob'], row: '4 new' },

  // A pending that states more than every claim makes a new claim, so that its goal never counts for another one.
  { recorded: [['success', '_>_']], arrives: ['pending', 'ann>bob'], row: '4 new' },
  { recorded: [['pending', 'ann>_']], arrives: ['pending', 'ann>bob'], row: '4 new' },

  { recorded: [['success', 'ann>bob']], arrives: ['fail', 'ann>_'], row: '5 #0' },
  {
    recorded: [
      ['success', 'ann>bob'],
      ['success', 'eve>eve'],
    ],
    arrives: ['fail', '_>eve'],
    row: '5 #1',
  },
  { recorded: [['success', 'ann>bob']], arrives: ['pending', 'ann>_'], row: '5 #0' },
  { recorded: [['success', '_>bob']], arrives: ['fail', 'ann>bob'], row: '5 #0' },
  {
    recorded: [
      ['success', '_>_'],
      ['success', 'ann>bob'],
    ],
    arrives: ['pending', '_>bob'],
    row: '5 #1',
  },

  {
    recorded: [
      ['success', 'ann>bob'],
      ['success', 'eve>eve'],
    ],
    arrives: ['fail', '_>_'],
    row: '6 !0',
  },
  {
    recorded: [
      ['success', 'ann>bob'],
      ['success', 'eve>bob'],
    ],
    arrives: ['pending', '_>bob'],
    row: '6 !0',
  },
]

describe('a callback belongs to', () => {
  test.each(cases.map((each) => [nameOf(each), each] as const))('%s', (_name, { recorded, holder, arrives, row }) => {
    const claims = claimsOf(...recorded.map(([status, who]) => callback(status, who)))
    expect(claims).toHaveLength(recorded.length)
    expect(rowOf(callback(...arrives), claims, holder)).toBe(row)
    expect(rowOf(callback(...arrives), [...claims].reverse(), claims.length - 1 - (holder ?? -9))).toBe(
      row.replace(/\d$/, (at) => String(claims.length - 1 - Number(at))),
    )
  })
})

function nameOf({ recorded, holder, arrives, row }: Case): string {
  const claims = recorded.map(([status, who], at) => `${status} ${who}${at === holder ? ' (has the order)' : ''}`)
  return `row ${row}: ${arrives.join(' ')} after ${claims.join(', ') || 'nothing'}`
}

describe('pruned or erased people', () => {
  const [known] = claimsOf(callback('success', 'ann>bob'))
  const forgotten = known === undefined ? [] : [emptied(known)]

  test('are still known by their hash', () => {
    expect(rowOf(callback('fail', 'ann>bob'), forgotten)).toBe('1 #0')
  })

  test('contradict nobody if their claim has the order', () => {
    expect(rowOf(callback('fail', 'eve>eve'), forgotten, 0)).toBe('2 #0')
  })

  test('are not replaced by other people, and a fail of others does not belong to their claim', () => {
    const [pending] = claimsOf(callback('pending', '_>_'))
    expect(rowOf(callback('success', 'ann>bob'), pending === undefined ? [] : [emptied(pending)])).toBe('4 new')
    expect(rowOf(callback('fail', 'eve>eve'), forgotten)).toBe('6 !0')
    expect(rowOf(callback('fail', '_>_'), forgotten)).toBe('6 !0')
  })
})

describe('a conflict that was replayed', () => {
  test('gets no callback by its people, only by having the order', () => {
    const [first, other] = claimsOf(callback('success', 'ann>bob'), callback('success', 'eve>eve'))
    if (first === undefined || other === undefined) throw new Error('two claims')
    const { peopleHash: _none, ...replayed } = { ...other, id: `${identity}:conflict:0` }
    expect(rowOf(callback('success', 'eve>eve'), [first, replayed])).toBe('4 new')
    expect(rowOf(callback('fail', 'eve>_'), [first, replayed])).toBe('4 new')
    expect(rowOf(callback('fail', 'eve>_'), [first, replayed], 1)).toBe('2 #1')
  })
})

describe('the id of a claim', () => {
  test("is the identity's for the first claim, and for a rival made of its people and the identity's first digits", () => {
    const [first, rival] = claimsOf(callback('success', 'ann>bob'), callback('success', 'eve>eve'))
    const people = peopleOf(callback('success', 'eve>eve'))
    expect(first?.id).toBe(identity)
    expect(rival?.id).toBe(rivalId(identity, hashOfPeople(identity, people)))
    expect(rival?.id).toMatch(/^[0-9a-f]{40}$/)
    expect(lockKey(rival?.id ?? '')).toBe(lockKey(identity))
  })

  test('is another one if the claim that had these people has taken others since', () => {
    const claims = claimsOf(
      callback('success', 'eve>eve'),
      callback('pending', 'ann>_'),
      callback('success', 'ann>bob'),
      callback('success', 'ann>_'),
    )
    expect(new Set(claims.map(({ id }) => id)).size).toBe(3)
    expect(claims.map(({ referrerEmail, refereeEmail }) => [referrerEmail, refereeEmail])).toEqual([
      ['eve@example.com', 'eve@example.com'],
      ['ann@example.com', 'bob@example.com'],
      ['ann@example.com', undefined],
    ])
  })
})

test('people are compared in any case, in either spelling of a letter, and each address in its place', () => {
  const one = hashOfPeople(
    identity,
    peopleOf(callbackOf('success', { referrer_email: 'Zoë@X.de ', referee_email: 'a@b.c' })),
  )
  const same = peopleOf(callbackOf('success', { referrer_email: 'zoe\u0308@x.de', referee_email: 'A@B.C' }))
  expect(hashOfPeople(identity, same)).toBe(one)
  expect(hashOfPeople(identity, { referrerEmail: 'a@b.c' })).not.toBe(hashOfPeople(identity, { refereeEmail: 'a@b.c' }))
})

test('the people that fit are those of the callback, and those with addresses left out', () => {
  const key = (people: Parameters<typeof hashOfPeople>[1]) => hashOfPeople(identity, people)
  const both = { referrerEmail: 'a@b.c', refereeEmail: 'd@e.f' }
  expect(new Set(fittingPeopleHashes(identity, both))).toEqual(
    new Set([both, { referrerEmail: 'a@b.c' }, { refereeEmail: 'd@e.f' }, {}].map(key)),
  )
  expect(fittingPeopleHashes(identity, {})).toEqual([key({})])
})

describe('what differs', () => {
  const [claim] = claimsOf(callback('success', 'ann>bob', { purchaseValue: '5' }))
  if (claim === undefined) throw new Error('a claim')

  test('is every parameter that contradicts, with both values', () => {
    expect(differences(claim, callback('success', 'eve>bob', { purchaseValue: '6.0', orderID: '01001' }))).toEqual([
      { parameter: 'orderID', recorded: '1001', received: '01001' },
      { parameter: 'referrer_email', recorded: 'ann@example.com', received: 'eve@example.com' },
      { parameter: 'purchaseValue', recorded: '5', received: '6' },
    ])
  })

  test('is every parameter that only one side states, if nothing contradicts', () => {
    expect(differences(claim, callback('success', 'ann>_', { purchaseValue: '5.00' }))).toEqual([
      { parameter: 'referee_email', recorded: 'bob@example.com' },
    ])
  })
})
