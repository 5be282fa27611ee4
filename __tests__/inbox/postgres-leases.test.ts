import { Leases, ownerOf, type Ticket } from '../../lib/inbox/stores/postgres-leases.js'

/* A job of pg-boss is for several deliveries: this process has its lease until all of them are over. */

const ticket = (index: number): Ticket => ({ id: 'job', retryCount: 2, index, deliveryId: `delivery ${String(index)}` })
const owner = (index: number) => ownerOf(ticket(index))
const job = { id: 'job', retryCount: 2 }

function leasesOf(count: number): Leases {
  const leases = new Leases()
  for (let index = 0; index < count; index++) leases.add(ticket(index))
  return leases
}

test('a job is over with the last of its tickets', () => {
  const leases = leasesOf(3)
  expect(leases.overWith([owner(0), owner(1)])).toEqual([])
  leases.end([owner(0), owner(1)], [])
  expect(leases.all).toMatchObject([job])
  expect([0, 2].map((index) => leases.ticket(owner(index))?.deliveryId)).toEqual([undefined, 'delivery 2'])
  const over = leases.overWith([owner(2)])
  expect(over).toMatchObject([job])
  leases.end([owner(2)], over)
  expect(leases.all).toEqual([])
})

test('a job whose last tickets end in two concurrent transactions is left to the next change, which need not wait for another', () => {
  const leases = leasesOf(2)
  const [one, other] = [[owner(0)], [owner(1)]]
  expect([leases.overWith(one), leases.overWith(other)]).toEqual([[], []])
  leases.end(one, [])
  expect(leases.left).toEqual([])
  leases.end(other, [])
  expect([leases.all, leases.left]).toMatchObject([[job], [job]]) // the lease is renewed until the job is completed
  expect(leases.overWith([])).toEqual([])
  leases.end([], leases.left)
  expect([leases.all, leases.left]).toEqual([[], []])
})

test('a job is not over if the transaction that ends its last ticket failed', () => {
  const leases = leasesOf(1)
  expect(leases.overWith([owner(0)])).toMatchObject([job])
  expect(leases.overWith([owner(0)])).toMatchObject([job])
  expect(leases.ticket(owner(0))).toEqual(ticket(0))
})

test('attempts of other processes, and of an earlier lease, end no job of this process', () => {
  const leases = leasesOf(1)
  expect(leases.overWith(['job:1:0', 'other:2:0', 'nonsense'])).toEqual([])
  leases.end(['job:1:0', 'other:2:0', 'nonsense'], [])
  expect(leases.all).toMatchObject([job])
})
