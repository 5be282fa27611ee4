import fc from 'fast-check'
import type { Callback } from '../../lib/callback/conversion.js'
import { emptied, type ClaimRecord } from '../../lib/inbox/records.js'
import { MemoryClaims, memoryRoom } from '../../lib/inbox/stores/memory-claims.js'
import { cases } from '../support/cases.js'
import { callbackOf } from '../support/ledger.js'
import { expectLinear } from '../support/linear.js'
import { rowOf } from './claims-store.js'
import { recordIn } from '../../lib/inbox/transitions.js'
import { identityOf, peopleOf, rivalId } from '../../lib/inbox/claims.js'

/* The memory inbox finds the claims that a callback may belong to without looking at all claims of the order. */

type Status = Callback['status']

function callback(status: Status, referrer: string | undefined, referee: string | undefined, receivedAt = 0): Callback {
  const changes = { orderID: '1001', referrer_email: referrer, referee_email: referee }
  return { ...callbackOf(status, changes), receivedAt }
}

const identity = identityOf(callback('success', undefined, undefined))

/** Does what the memory inbox does with a callback before its handlers run; undefined if it is a conflict. */
function record(identities: MemoryClaims<never>, arriving: Callback): ClaimRecord | undefined {
  const claims = identities.claimsFor(identity, () => peopleOf(arriving))
  const recording = recordIn(claims, identities.holder(identity)?.claim, identity, arriving)
  if (recording.outcome === 'conflict') return undefined
  return identities.put(recording.record).record
}

const statuses: readonly Status[] = ['success', 'fail', 'pending']
const referrers = [undefined, 'ann@example.com', 'eve@example.com']
const referees = [undefined, 'bob@example.com', 'cid@example.com', 'eve@example.com']
const all = statuses.flatMap((status) =>
  referrers.flatMap((referrer) => referees.map((referee) => callback(status, referrer, referee))),
)

const arrival = fc.tuple(fc.constantFrom(...statuses), fc.constantFrom(...referrers), fc.constantFrom(...referees))
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ what: fc.constant('arrives' as const), arrival }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('replayed' as const), arrival }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('reserved' as const), which: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('forgotten' as const), which: fc.nat() }) },
)

test('a callback belongs to the same claim whether the found claims or all claims are considered', () => {
  const counts = new Map<string, number>()
  const count = (what: string): void => {
    counts.set(what, (counts.get(what) ?? 0) + 1)
  }
  fc.assert(
    fc.property(fc.constantFrom(3, 6, 100), fc.array(step, { maxLength: 25, size: 'max' }), (rows, steps) => {
      const identities = new MemoryClaims<never>({ ...memoryRoom, rows })
      for (const [at, each] of steps.entries()) {
        const known = [...identities.records()]
        if (each.what === 'arrives') {
          record(identities, callback(...each.arrival, at))
        } else if (each.what === 'replayed') {
          const { peopleHash: _people, ...claim } = conflict(callback(...each.arrival, at))
          identities.put({ ...claim, id: rivalId(identity, String(at).padStart(40, '0')) })
        } else {
          const claim = known[each.which % known.length]
          if (claim === undefined) continue
          if (each.what === 'reserved') identities.reserve(claim.id, [identity])
          else identities.put(emptied(claim))
        }
        const claims = [...identities.records()]
        const holder = identities.holder(identity)?.claim
        if (claims.length > 0 && !claims.some(({ id }) => id === identity)) count('the first has given way')
        for (const arriving of all) {
          const found = identities.claimsFor(identity, () => peopleOf(arriving))
          const row = rowOf(arriving, identity, claims, holder)
          expect(rowOf(arriving, identity, found, holder)).toBe(row)
          count(`row ${row.charAt(0)}`)
          if (found.length < claims.length) count('found less than all')
        }
      }
    }),
    { numRuns: cases(200) },
  )
  const rows = [1, 2, 3, 4, 5, 6].map((row) => `row ${String(row)}`)
  const enough = cases(20)
  const rare = [...rows, 'found less than all', 'the first has given way'].filter(
    (what) => (counts.get(what) ?? 0) < enough,
  )
  expect(rare).toEqual([])
})

/** A claim like one that the replay of a conflict makes. */
function conflict(replayed: Callback): ClaimRecord {
  const recording = recordIn([], undefined, identity, replayed)
  if (recording.outcome === 'conflict') throw new Error('Nothing contradicts the first claim.')
  return recording.record
}

test('a new claim does not get the id of one that has taken other people, and is found by its own people only', () => {
  const identities = new MemoryClaims<never>(memoryRoom)
  const arrive = (status: Status, referrer: string, referee?: string): ClaimRecord | undefined =>
    record(identities, callback(status, referrer, referee))
  arrive('success', 'eve', 'eve')
  const pending = arrive('pending', 'ann')
  expect(arrive('success', 'ann', 'bob')?.id).toBe(pending?.id)
  for (const referee of ['cid', 'dan', 'fay']) arrive('success', 'ann', referee)
  arrive('success', 'ann')
  expect([...identities.records()].map(({ referrerEmail, refereeEmail }) => [referrerEmail, refereeEmail])).toEqual([
    ['eve', 'eve'],
    ['ann', 'bob'],
    ['ann', 'cid'],
    ['ann', 'dan'],
    ['ann', 'fay'],
    ['ann', undefined],
  ])
})

/** A rival that shares one address with the rival before, leaves one out, or shares nothing with any other. */
function rival(index: number): Callback {
  const name = `${String(index)}@thief.example`
  const [referrer, referee] =
    [
      [name, 'ann@shop.example'],
      ['bob@shop.example', name],
      [name, undefined],
      [undefined, name],
      [name, name],
    ][index % 5] ?? []
  return callback('success', referrer, referee, index)
}

test('the time that a callback takes does not grow with the number of rivals', () => {
  const recordAll = (size: number): void => {
    const identities = new MemoryClaims<never>({ rows: size / 2, bytes: Infinity })
    for (let index = 0; index < size; index++) record(identities, rival(index))
    expect([...identities.records()]).toHaveLength(size / 2)
  }
  expectLinear((size) => size, recordAll, 16_384)
}, 120_000)
