/*
 * "Who belongs to which claim" and "Reservation" of docs/design.md, implemented a second time: which claim a callback belongs to, what the
 * ledger decides there, and which claim may be paid for which order. Nothing here is shared with lib/.
 */

import { table } from './model.js'

type Status = 'pending' | 'success' | 'fail'
export type Event = Status | 'goalComplete'
type Key = Event | 'reversal'

/** A callback, with its values as they are compared. */
export interface Sent {
  readonly identity: string
  /** Empty if the callback states none. */
  readonly referrer: string
  readonly referee: string
  readonly status: Status
  readonly goal: boolean
  readonly amount: number | undefined
  readonly at: number
  /** Two callbacks with the same content are the same conflict. */
  readonly content: string
}

export interface Delivery {
  readonly event: Event
  key: Key
  turn: number
  state: 'waiting' | 'running' | 'done' | 'dead' | 'withdrawn' | 'refused'
  /** The callback that caused the delivery; undefined after prune and erase. */
  sent: Sent | undefined
  owner: string | undefined
  /** When the last attempt began: one owner may make several attempts, after losing earlier ones. */
  startedAt: number | undefined
  attempts: number
  holds: number
  heldSince: number | undefined
  firstDate: number | undefined
  dueAt: number
  hadNoHandler: boolean
  takenBy: Claim | undefined
  /** A person replayed the delivery: the next yes takes the order from the claim that has it. */
  takesOrder: boolean
}

export interface Claim {
  readonly identity: string
  /** Identifies the people, also after their addresses are erased; undefined for a replayed conflict. */
  people: string | undefined
  referrer: string
  referee: string
  readonly since: number
  status: Status
  goal: boolean
  amount: number | undefined
  isEmptied: boolean
  /** The order that was reserved for the claim. */
  order: string | undefined
  deliveries: Delivery[]
}

interface Conflict {
  readonly sent: Sent
  /** The claim that the conflict agrees with, for which a replay records it. */
  readonly claim: Claim | undefined
  isReplayed: boolean
}

export interface Shop {
  readonly handled: readonly Event[]
  /** Processes may differ in this. */
  hasConfirm: boolean
  readonly maxAttempts: number
  readonly maxHoldMs: number
}

/** One attempt at a delivery. */
export interface Run {
  readonly owner: string
  readonly startedAt: number | undefined
}

/** How a process claims deliveries. */
export interface ClaimResult {
  readonly owner: string
  readonly mayRun: boolean
  readonly now: number
}

export type Verdict =
  | { readonly say: 'done' | 'refused' | 'failed' | 'held'; readonly takenBy?: Claim }
  | { readonly say: 'held'; readonly until: number }

export type Outcome = 'accepted' | 'duplicate' | 'stale' | 'conflict'

export class ClaimsModel {
  readonly claims: Claim[] = []
  /** The claim that has each order. */
  readonly holders = new Map<string, Claim>()
  /** Conflicts, by their content. */
  readonly conflicts = new Map<string, Conflict>()
  /** The claims that replays made of conflicts; a claim stays when its conflict is dropped. */
  readonly #replayed = new Map<string, Claim>()
  readonly #shop: Shop

  constructor(shop: Shop) {
    this.#shop = shop
  }

  receive(sent: Sent, taking?: ClaimResult): { outcome: Outcome; row: number; claim?: Claim; conflict?: string } {
    const { row, claim, conflictWith } = this.#belongs(sent)
    if (conflictWith !== undefined) return { outcome: 'conflict', row, conflict: this.#conflict(sent) }
    if (row === 4) {
      const rival = newClaim(sent, peopleOf(sent))
      this.claims.push(rival)
      this.#record(rival, sent, 'new')
      this.#afterwards(rival, taking)
      return { outcome: 'accepted', row, claim: rival }
    }
    if (claim === undefined) throw new Error('a row without a claim')
    const isOthers = row === 2 || row === 5
    const says = this.#read(claim, sent).says
    const outcome = this.#record(claim, sent, isOthers ? 'other' : 'own')
    if (outcome === 'conflict') {
      return { outcome, row, conflict: this.#conflict(sent, says === 'conflict' ? undefined : claim) }
    }
    if (row === 3) Object.assign(claim, { people: peopleOf(sent), referrer: sent.referrer, referee: sent.referee })
    this.#afterwards(claim, taking)
    return { outcome, row, claim }
  }

  #belongs(sent: Sent): { row: number; claim?: Claim; conflictWith?: readonly Claim[] } {
    const claims = this.claims.filter(({ identity }) => identity === sent.identity)
    const exact = claims.find(({ people }) => people === peopleOf(sent))
    const winner = claims.find((claim) => this.holders.get(sent.identity) === claim)
    if (winner && isOfReplayed(winner, exact, sent)) return { row: 1, claim: winner }
    if (winner && exact && isMaybeOfReplayed(winner, sent)) return { row: 2, claim: winner }
    if (exact) return { row: 1, claim: exact }
    if (winner) return contradict(winner, sent) ? { row: 2, conflictWith: [winner] } : { row: 2, claim: winner }
    const others = claims.filter(({ people }) => people !== undefined)
    const agreeing = others.filter((claim) => !contradict(claim, sent))
    if (sent.status === 'success') {
      const [open] = agreeing
        .filter(({ isEmptied, deliveries }) => !isEmptied && !deliveries.some(({ event }) => event === 'success'))
        .filter(({ referrer, referee }) => isIn(referrer, sent.referrer) && isIn(referee, sent.referee))
        .sort((a, b) => a.since - b.since)
      return open ? { row: 3, claim: open } : { row: 4 }
    }
    const possible = agreeing.filter(
      ({ referrer, referee }) =>
        sent.status === 'fail' || (isIn(sent.referrer, referrer) && isIn(sent.referee, referee)),
    )
    const [only, second] = possible
    if (only === undefined) return { row: 4 }
    return second === undefined && !only.isEmptied ? { row: 5, claim: only } : { row: 6, conflictWith: possible }
  }

  /** The key of a conflict: its content and, if it agrees with one claim, that claim. */
  #conflict(sent: Sent, claim?: Claim): string {
    const content = `${sent.identity} ${sent.content}`
    const key = claim ? `${content} of claim ${String(this.claims.indexOf(claim))}` : content
    if (!this.conflicts.has(key)) this.conflicts.set(key, { sent, claim, isReplayed: false })
    return key
  }

  /** The decision of the ledger's table for one claim; records nothing. */
  #read(claim: Claim, { status, goal, amount }: Pick<Sent, 'status' | 'goal' | 'amount'>, isNew = false) {
    const none: readonly Event[] = []
    if (isOtherAmount(claim, { status, amount })) return { says: 'conflict' as const, events: none, isGoalNews: false }
    const says = table[isNew ? 'nothing' : standingOf(claim)][status]
    if (says === 'conflict' || says === 'stale') return { says, events: none, isGoalNews: false }
    const isGoalNews = goal && status !== 'fail' && !claim.goal
    const isGoalDue = status === 'success' && (says === 'event' ? claim.goal || isGoalNews : isGoalNews)
    const events: Event[] = says === 'event' ? [status] : []
    return { says, events: isGoalDue ? [...events, 'goalComplete' as const] : events, isGoalNews }
  }

  /** A callback of other people makes no events of a claim, and sets no amount. */
  #record(claim: Claim, sent: Sent, whose: 'new' | 'own' | 'other' = 'own'): Outcome {
    const { says, events, isGoalNews } = this.#read(claim, sent, whose === 'new')
    if (says === 'conflict' || says === 'stale') return says
    if (whose === 'other' && events.length > 0) return 'conflict'
    if (sent.status === 'success' && whose !== 'other' && !claim.isEmptied) claim.amount ??= sent.amount
    if (isGoalNews) claim.goal = true
    if (says === 'event') claim.status = sent.status
    for (const event of events) bring(claim, event, sent)
    return events.length > 0 ? 'accepted' : 'duplicate'
  }

  #afterwards(claim: Claim, taking?: ClaimResult): Delivery | undefined {
    for (const delivery of claim.deliveries) {
      if (delivery.state === 'waiting' && isOvertaken(claim, delivery)) settle(delivery, 'withdrawn')
    }
    return taking && this.#claimIfAllowed(claim, taking)
  }

  #claimIfAllowed(claim: Claim, { owner, mayRun, now }: ClaimResult): Delivery | undefined {
    for (;;) {
      if (isRunning(claim)) return undefined
      const [delivery] = claim.deliveries
        .filter(({ state, dueAt }) => state === 'waiting' && dueAt <= now)
        .sort((a, b) => a.turn - b.turn)
      if (delivery === undefined) return undefined
      const others = isPaying(delivery) ? this.#others(claim, claim) : []
      if (isOvertaken(claim, delivery)) settle(delivery, 'withdrawn')
      else if (!this.#shop.handled.includes(delivery.event)) {
        fix(claim, delivery)
        settle(delivery, 'done')
        delivery.hadNoHandler = true
      } else if (others.length > 0 && !delivery.takesOrder) {
        settle(delivery, 'refused')
        delivery.takenBy = others[0]
      } else if (others.some(isRunning)) delivery.dueAt = now + 5_000
      else if (!mayRun) return undefined
      else {
        fix(claim, delivery)
        Object.assign(delivery, { state: 'running', owner, startedAt: now, attempts: delivery.attempts + 1 })
        if (isPaying(delivery) && !this.#shop.hasConfirm) this.#give(claim, claim.order ?? claim.identity)
        return delivery
      }
    }
  }

  /** A process looks at a claim: ends the attempts of processes that are gone, and claims a due delivery. */
  look(claim: Claim, isGone: (owner: string) => boolean, taking: ClaimResult): Delivery | undefined {
    for (const delivery of claim.deliveries) {
      if (delivery.owner === undefined || !isGone(delivery.owner)) continue
      delivery.owner = undefined
      delivery.holds = 0
      if (delivery.attempts >= this.#shop.maxAttempts) settle(delivery, 'dead')
      else Object.assign(delivery, { state: 'waiting', dueAt: taking.now })
    }
    return this.#claimIfAllowed(claim, taking)
  }

  /** Reserves the order after a yes of `confirm`. */
  reserve(claim: Claim, delivery: Delivery, run: Run, named?: string): 'yes' | 'lapsed' | 'another' | 'wait' | Claim {
    if (!isRunOf(delivery, run)) return 'lapsed'
    const order = named ?? claim.identity
    if (claim.order !== undefined && claim.order !== order && !delivery.takesOrder) return 'another'
    const keys = [claim.identity, order]
    const others = keys.map((key) => this.holders.get(key)).filter((holder) => holder !== undefined && holder !== claim)
    const [other] = others
    if (other && !delivery.takesOrder) return other
    if (others.some((holder) => holder && isRunning(holder))) return 'wait'
    this.#give(claim, order)
    return 'yes'
  }

  /** Once a claim has its orders, none of its deliveries takes them again. */
  #give(claim: Claim, order: string): void {
    for (const key of [claim.identity, order]) this.holders.set(key, claim)
    claim.order = order
    for (const delivery of claim.deliveries) delivery.takesOrder = false
  }

  /** The other claims that have an order of this claim. */
  #others({ identity, order = identity }: Pick<Claim, 'identity' | 'order'>, claim?: Claim): Claim[] {
    const holders = [identity, order].map((key) => this.holders.get(key))
    return holders.filter((holder) => holder !== undefined && holder !== claim) as Claim[]
  }

  commit(claim: Claim, delivery: Delivery, run: Run, named?: string): 'done' | 'lapsed' | 'taken' {
    if (!isRunOf(delivery, run)) return 'lapsed'
    const keys = [claim.identity, claim.order ?? claim.identity, named ?? claim.identity]
    if (isPaying(delivery) && keys.some((key) => this.holders.get(key) !== claim)) return 'taken'
    settle(delivery, 'done')
    return 'done'
  }

  settle(claim: Claim, delivery: Delivery, run: Run, verdict: Verdict, now: number, taking?: ClaimResult) {
    if (isRunOf(delivery, run)) this.#settleOwn(delivery, verdict, now)
    return this.#afterwards(claim, taking)
  }

  #settleOwn(delivery: Delivery, verdict: Verdict, now: number): void {
    const { maxAttempts, maxHoldMs } = this.#shop
    delivery.owner = undefined
    if (verdict.say === 'done' || verdict.say === 'refused') {
      settle(delivery, verdict.say)
      delivery.takenBy = 'takenBy' in verdict ? verdict.takenBy : undefined
      return
    }
    const until = 'until' in verdict && verdict.until > now ? verdict.until : undefined
    delivery.state = 'waiting'
    if (verdict.say === 'failed') {
      delivery.holds = 0
      delivery.dueAt = now + laterMs(delivery.attempts)
      if (delivery.attempts >= maxAttempts) settle(delivery, 'dead')
      return
    }
    delivery.attempts--
    delivery.heldSince ??= now
    delivery.firstDate ??= until
    delivery.holds = until === undefined ? delivery.holds + 1 : 0
    delivery.dueAt = until ?? now + laterMs(delivery.holds)
    if (now - (delivery.firstDate ?? delivery.heldSince) >= maxHoldMs) settle(delivery, 'dead')
  }

  /** A person replays a delivery; false if that is impossible. */
  replayDelivery(claim: Claim, delivery: Delivery): boolean {
    if (!['dead', 'refused', 'waiting'].includes(delivery.state) || delivery.sent === undefined) return false
    const others = this.#others(claim, claim)
    const hasOrders = [claim.identity, claim.order ?? claim.identity].every((key) => this.holders.get(key) === claim)
    const takesOrder = delivery.takesOrder || (delivery.takenBy !== undefined && !hasOrders)
    if (takesOrder && others.some(isRunning)) return false
    Object.assign(delivery, { ...fresh(), takesOrder })
    return true
  }

  /** A person replays a conflict as a claim of its own; returns the claim, or undefined if that is impossible. */
  replayConflict(key: string): Claim | undefined {
    const conflict = this.conflicts.get(key)
    if (conflict === undefined || conflict.isReplayed) return undefined
    const { sent } = conflict
    if (conflict.claim) return this.#decide(conflict, conflict.claim)
    const known = this.#replayed.get(key)
    const others = this.#others(known ?? { identity: sent.identity, order: undefined }, known)
    if (sent.status === 'success' && others.some(isRunning)) return undefined
    conflict.isReplayed = true
    const claim = known ?? newClaim(sent, undefined)
    this.#record(claim, sent, known === undefined ? 'new' : 'own')
    for (const delivery of claim.deliveries) {
      if (others.length > 0 && isPaying(delivery) && delivery.sent === sent) delivery.takesOrder = true
    }
    if (known === undefined) {
      this.claims.push(claim)
      this.#replayed.set(key, claim)
    }
    return claim
  }

  /** A person replays a conflict for the claim that it agrees with, even if another claim has the order by now. */
  #decide(conflict: Conflict, claim: Claim): Claim | undefined {
    if (this.#record(claim, conflict.sent) === 'conflict') return undefined
    conflict.isReplayed = true
    this.#afterwards(claim)
    return claim
  }

  /** Prunes settled claims, but none with a dead or unsettled delivery. */
  prune(): void {
    for (const claim of this.claims) {
      if (claim.deliveries.every(({ state }) => ['done', 'withdrawn', 'refused'].includes(state))) forget(claim)
    }
    this.conflicts.clear()
  }

  /** Erases every claim that mentions an address, unless it has an unsettled delivery. */
  erase(address: string): void {
    for (const [key, { sent }] of this.conflicts) {
      if ([sent.referrer, sent.referee].includes(address)) this.conflicts.delete(key)
    }
    for (const claim of this.claims) {
      const isMentioned =
        [claim.referrer, claim.referee].includes(address) ||
        claim.deliveries.some(({ sent }) => sent && [sent.referrer, sent.referee].includes(address))
      if (isMentioned && !claim.deliveries.some(({ state }) => state === 'waiting' || state === 'running'))
        forget(claim)
    }
  }
}

/** Whether a claim and a callback state different addresses. A missing address contradicts none. */
function contradict(claim: Pick<Claim, 'referrer' | 'referee'>, sent: Pick<Sent, 'referrer' | 'referee'>): boolean {
  return differ(claim.referrer, sent.referrer) || differ(claim.referee, sent.referee)
}

function differ(one: string, other: string): boolean {
  return one !== '' && other !== '' && one !== other
}

function isOtherAmount(claim: Claim, { status, amount }: Pick<Sent, 'status' | 'amount'>): boolean {
  return status === 'success' && claim.amount !== undefined && amount !== undefined && claim.amount !== amount
}

function isIn(stated: string, said: string): boolean {
  return stated === '' || stated === said
}

function peopleOf({ referrer, referee }: Pick<Sent, 'referrer' | 'referee'>): string {
  return `${referrer} referred ${referee}`
}

function newClaim({ identity, referrer, referee, status, at }: Sent, people: string | undefined): Claim {
  return {
    ...{ identity, people, referrer, referee, since: at, status },
    ...{ goal: false, amount: undefined, isEmptied: false, order: undefined, deliveries: [] },
  }
}

function fresh(): Omit<Delivery, 'event' | 'key' | 'turn' | 'sent'> {
  return {
    ...{
      state: 'waiting',
      owner: undefined,
      startedAt: undefined,
      attempts: 0,
      holds: 0,
      heldSince: undefined,
      firstDate: undefined,
    },
    ...{ dueAt: 0, hadNoHandler: false, takenBy: undefined, takesOrder: false },
  }
}

/** A new delivery, or the withdrawn one brought back; a running attempt goes on. */
function bring(claim: Claim, event: Event, sent: Sent): void {
  const isReversal = event === 'fail' && (isDelivered(claim) || isPlainFailDone(claim))
  const key: Key = isReversal ? 'reversal' : event
  const turn = 1 + Math.max(0, ...claim.deliveries.map((each) => each.turn))
  const old = claim.deliveries.find((each) => each.key === key)
  const { state, owner, startedAt, attempts } = old ?? fresh()
  const running = state === 'running' ? { state, owner, startedAt, attempts } : {}
  const delivery: Delivery = { ...fresh(), ...running, event, key, turn, sent }
  if (old) Object.assign(old, delivery)
  else claim.deliveries.push(delivery)
}

function forget(claim: Claim): void {
  Object.assign(claim, { referrer: '', referee: '', amount: undefined, isEmptied: true })
  for (const delivery of claim.deliveries) delivery.sent = undefined
}

function settle(delivery: Delivery, state: Delivery['state']): void {
  Object.assign(delivery, { state, owner: undefined })
}

function standingOf(claim: Claim): keyof typeof table {
  if (claim.status !== 'fail') return claim.status
  return isDelivered(claim) ? 'fail, after a delivered success' : 'fail, no success delivered'
}

export function isPaying({ event }: Pick<Delivery, 'event'>): boolean {
  return event === 'success' || event === 'goalComplete'
}

export function isRunOf(delivery: Delivery, { owner, startedAt }: Run): boolean {
  return delivery.owner === owner && delivery.startedAt === startedAt
}

/** A replayed conflict that has the order gets the callbacks of its people, unless another claim has these people, too. */
function isOfReplayed(winner: Claim, exact: Claim | undefined, { status, referrer, referee }: Sent): boolean {
  const isReplayed = winner.people === undefined && !winner.isEmptied
  if (!isReplayed || winner.referrer !== referrer || winner.referee !== referee) return false
  return exact === undefined || (status === 'fail' && (isDelivered(winner) || !isDelivered(exact)))
}

/** A fail may belong to a replayed conflict whose people were erased, so a person must decide. */
function isMaybeOfReplayed(winner: Claim, { status }: Sent): boolean {
  return status === 'fail' && winner.people === undefined && winner.isEmptied && isDelivered(winner)
}

function isDelivered({ deliveries }: Claim, before = Infinity): boolean {
  return deliveries.some((each) => isPaying(each) && each.state === 'done' && !each.hadNoHandler && each.turn < before)
}

function isPlainFailDone({ deliveries }: Claim): boolean {
  return deliveries.some(({ key, state }) => key === 'fail' && state === 'done')
}

function isRunning({ deliveries }: Claim): boolean {
  return deliveries.some(({ state }) => state === 'running')
}

/** Whether a later delivery has overtaken this one. */
function isOvertaken(claim: Claim, { event, turn }: Delivery): boolean {
  const later = claim.deliveries.filter((each) => each.turn > turn)
  if (isPaying({ event })) return later.some((each) => each.event === 'fail')
  if (later.some((each) => each.state === 'done' && each.event !== event)) return true
  return event === 'fail' && !isDelivered(claim, turn) && isPlainFailDone(claim)
}

/** A fail is decided when it is claimed: after a delivered success it takes that success back. */
function fix(claim: Claim, delivery: Delivery): void {
  if (delivery.event === 'fail') delivery.key = isDelivered(claim, delivery.turn) ? 'reversal' : 'fail'
}

/** The retry delay: one second, doubled each time, at most an hour. */
function laterMs(tries: number): number {
  return Math.min(3_600_000, 1_000 * 2 ** (tries - 1))
}
