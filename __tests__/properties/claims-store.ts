import { belongsTo, fittingPeopleHashes, rivalIds, type Belonging, hashOfPeople } from '../../lib/inbox/claims.js'
import { keptWith, type QuarantinedCallback } from '../../lib/inbox/quarantine.js'
import type { ClaimRecord, People } from '../../lib/inbox/records.js'
import { ordersFor, type Change, type Found, type Store } from '../../lib/inbox/store.js'
import type { Callback } from '../../lib/callback/conversion.js'
import { holderOf, holdersBy, type Holders } from '../../lib/inbox/reservation.js'

/** A minimal store: maps, and changes that are made at once. Nothing is dropped. */
export class MapStore implements Store {
  readonly all = new Map<string, ClaimRecord>()
  readonly reservations = new Map<string, string>()
  readonly kept = new Map<string, QuarantinedCallback>()
  readonly quarantineBudget = { rows: Infinity, bytes: Infinity }

  /** Throws what `apply` throws. */
  make<T>({ claim, callback, order, quarantined: id, apply }: Change<T>): T {
    const record = claim === undefined ? undefined : this.all.get(claim)
    const quarantined = id === undefined ? undefined : this.kept.get(id)
    const claims = callback ? this.claimsOf(callback.identity) : []
    const asked = { ...(callback && { callback }), order }
    const holders = this.holdersOf([...ordersFor(asked, [record, ...claims])])
    const found: Found = { claims, holders, ...(record && { record }), ...(quarantined && { quarantined }) }
    const changed = apply(found)
    if (changed.record) {
      this.all.set(changed.record.id, changed.record)
      for (const key of changed.reserved ?? []) this.reservations.set(key, changed.record.id)
    }
    if (changed.quarantined) this.kept.set(changed.quarantined.id, changed.quarantined)
    if (changed.conflict)
      this.kept.set(changed.conflict.id, keptWith(this.kept.get(changed.conflict.id), changed.conflict))
    return changed.result
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- makes a throw of `apply` a rejection
  async change<T>(change: Change<T>): Promise<T> {
    return this.make(change)
  }

  claimsOf(identity: string): readonly ClaimRecord[] {
    return [...this.all.values()].filter((record) => record.identity === identity)
  }

  holdersOf(orders: readonly string[]): Holders {
    return holdersBy(orders, (order) => {
      const holder = this.all.get(this.reservations.get(order) ?? '')
      return holder && holderOf(holder)
    })
  }

  record = (id: string) => Promise.resolve(this.all.get(id))
  claims = (identity: string) => Promise.resolve(this.claimsOf(identity))
  holders = (orders: readonly string[]) => Promise.resolve(this.holdersOf(orders))
  quarantined = (id: string) => Promise.resolve(this.kept.get(id))
  allQuarantined = () => Promise.resolve({ found: [...this.kept.values()] })
  records = () => Promise.resolve({ found: [...this.all.values()] })
  settled = this.records
  drop = (id: string) => Promise.resolve(this.kept.delete(id))
  scrub = () => Promise.resolve()
  waitingInQuarantine = () => Promise.resolve({ rows: 0, bytes: 0 })
  conflicts = notAsked
  deliveries = notAsked
  callbackCounts = notAsked
  deliveryCounts = notAsked
  oldestWaitingAt = notAsked
  dailyCounts = notAsked
  receivedAt = notAsked
  quarantine = notAsked
}

function notAsked(): never {
  throw new Error('No history asks for this.')
}

/** How many claims that do not contradict a SQL store returns: with one alone nobody could tell whether there are more. */
const agreeing = 2

/**
 * The claims that the SQL stores return for a callback, as `claim-search.ts` asks for them. Of the claims that do not contradict, a query
 * may return any two: `turn` chooses.
 */
export function foundBySql(
  claims: readonly ClaimRecord[],
  identity: string,
  people: People,
  holder: string | undefined,
  turn: number,
) {
  const first = claims.find(({ id }) => id === identity)
  if (first === undefined) return []
  const key = hashOfPeople(identity, people)
  if (first.peopleHash === key) return claims.filter((claim) => claim === first || claim.id === holder)
  const rivals = claims.filter(({ id }) => id !== identity)
  const fitting = fittingPeopleHashes(identity, people)
  const ids = rivalIds(identity, key)
  const found = new Set<ClaimRecord>([first])
  for (const rival of rivals) {
    if (rival.peopleHash !== undefined && fitting.includes(rival.peopleHash)) found.add(rival)
    if (ids.includes(rival.id) || rival.id === holder) found.add(rival)
  }
  for (const isReferrer of sides(people.referrerEmail)) {
    for (const isReferee of sides(people.refereeEmail)) {
      const matching = rivals.filter(
        (rival) => rival.peopleHash !== undefined && isReferrer(rival.referrerEmail) && isReferee(rival.refereeEmail),
      )
      const start = matching.length === 0 ? 0 : turn % matching.length
      for (const rival of [...matching.slice(start), ...matching.slice(0, start)].slice(0, agreeing)) found.add(rival)
    }
  }
  return [...found]
}

function sides(address: string | undefined): readonly ((recorded: string | undefined) => boolean)[] {
  if (address === undefined) return [() => true]
  return [(recorded) => recorded === address, (recorded) => recorded === undefined]
}

/** Which row a callback leads to, and to which claim. */
export function rowOf(
  callback: Callback,
  identity: string,
  claims: readonly ClaimRecord[],
  holder: string | undefined,
): string {
  const belonging = belongsTo(callback, identity, claims, holder)
  return `${String(belonging.row)} ${claimOf(belonging)}`
}

function claimOf(belonging: Belonging): string {
  if ('conflictWith' in belonging) return belonging.row === 6 ? 'some' : belonging.conflictWith.id
  return `${belonging.head.id} ${belonging.head.peopleHash ?? '-'}`
}
