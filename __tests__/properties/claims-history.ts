import { strict as assert } from 'node:assert'
import type { Callback } from '../../lib/callback/conversion.js'
import { isConversionWebhookError } from '../../lib/errors.js'
import {
  commitAttempt,
  recordCallback,
  reserveOrder,
  settleAttempt,
  takeOver,
  type Claiming,
  type ClaimResult,
} from '../../lib/inbox/transitions.js'
import { attemptOf } from '../../lib/inbox/delivery.js'
import { eraser, pruner } from '../../lib/inbox/operators/prune-and-erase.js'
import type { Verdict as LibVerdict } from '../../lib/inbox/inbox.js'
import { deliveryId, findDelivery, keyOf, type Delivery as LibDelivery } from '../../lib/inbox/records.js'
import { replayer } from '../../lib/inbox/operators/replay.js'
import {
  ClaimsModel,
  isPaying,
  isRunOf,
  type Claim,
  type Delivery,
  type Event,
  type Sent,
  type Shop,
  type Verdict,
} from './claims-model.js'
import { foundBySql, MapStore, rowOf } from './claims-store.js'
import { identityOf, orderIdentity, peopleOf } from '../../lib/inbox/claims.js'

/*
 * One history: random callbacks about the orders of one shop, with random attempts, crashes, replays and forgetting between them, through
 * the pure functions of lib/ over maps, and through the model. An array of numbers decides everything, so that a history can be run again.
 */

/** Counts what happened in histories: a test proves nothing about events that never happen. */
export type Counts = Record<string, number>

const hourMs = 3_600_000
const policy = { random: 0.5, maxAttempts: 3, maxHoldMs: 60 * hourMs } // the middle of the jitter

/** Spellings of the order ids, and the numbers of the shop's own orders. */
const spellings = [
  ['1001'],
  ['1001', ' 1001', '01001'],
  ['1001', '1001', '1001', ' 1001', '01001', '2002', ''],
] as const
const numbers: Readonly<Record<string, string>> = { '1001': '1001', ' 1001': '1001', '01001': '1001', '2002': '2002' }
const [ann, bob, eve, dan] = ['ann@example.com', 'bob@example.com', 'eve@example.com', 'dan@example.com'] as const
const buyers: Readonly<Record<string, { readonly referrer: string; readonly referee: string }>> = {
  '1001': { referrer: ann, referee: bob },
  '2002': { referrer: eve, referee: dan },
}
/** The addresses in callbacks, empty for none: the fewer there are, the more often callbacks share one. */
const referrers = [
  [ann, ''],
  [ann, eve],
  [ann, eve, '', 'Ann@Example.com'],
] as const
const referees = [[bob], [bob, dan], [bob, '', dan]] as const
const statuses = ['success', 'pending', 'fail', 'success'] as const
const every: readonly Event[] = ['pending', 'success', 'goalComplete', 'fail']
const handlers: readonly (readonly Event[])[] = [
  every,
  every,
  ['success', 'fail'],
  ['goalComplete', 'fail'],
  ['success', 'goalComplete'],
]
/** `bound`: says yes to an order's own buyer. `naive`: says yes to anyone once the order is paid. `wild`: says anything. */
const confirms = ['bound', 'naive', 'wild', 'none'] as const

type Answer = { say: 'yes'; order?: string } | { say: 'no' | 'hold' | 'fails' } | { say: 'date'; until: number }

/** Choices that one number decides: 0 chooses the first item of an array. */
class Dice {
  #left: number
  constructor(number: number) {
    this.#left = number
  }
  below(limit: number): number {
    const chosen = this.#left % limit
    this.#left = Math.floor(this.#left / limit)
    return chosen
  }
  of<T>(list: readonly T[]): T {
    const chosen = this.among(list)
    assert(chosen !== undefined || list.length > 0, 'there is nothing to choose from')
    return chosen as T
  }
  /** An item of the array; undefined if it is empty. */
  among<T>(list: readonly T[]): T | undefined {
    return list[this.below(Math.max(1, list.length))]
  }
  is(): boolean {
    return this.below(2) === 1
  }
}

interface Attempt {
  readonly id: string
  readonly claim: Claim
  /** The delivery as it was claimed. */
  readonly taken: LibDelivery
  readonly delivery: Delivery
  readonly owner: string
  readonly startedAt: number | undefined
  stage: 'taken' | 'handler' | 'committed'
  /** The order that `confirm` named. */
  named?: string
}

export class History {
  readonly #counts: Counts
  readonly #trace: string[] | undefined
  readonly #confirm: (typeof confirms)[number]
  readonly #handled: readonly Event[]
  readonly #namesOrders: boolean
  readonly #spellings: readonly string[]
  readonly #referrers: readonly string[]
  readonly #referees: readonly string[]
  readonly #store = new MapStore()
  readonly #shop: Shop
  readonly #model: ClaimsModel
  readonly #replay = replayer(this.#store, () => undefined)
  #now = 1_700_000_000_000
  /** The id in the store of each claim of the model, and the reverse. */
  readonly #ids = new Map<Claim, string>()
  readonly #claims = new Map<string, Claim>()
  /** The model's name of each identity in the store. */
  readonly #identities = new Map<string, string>()
  readonly #conflictIds = new Map<string, string>()
  #owners = ['a', 'b']
  #attempts: Attempt[] = []
  readonly #paidOrders = new Set<string>()
  readonly #sent: { readonly sent: Sent; readonly number: string | undefined; readonly outcome: string }[] = []
  /** The claim that was paid last for each order. */
  readonly #payee = new Map<string, Claim>()
  /** Claims about which a person decided: by replaying a conflict for them, or by giving them up. */
  readonly #decidedFor = new Set<Claim>()
  /** Deliveries that a person replayed. */
  readonly #permits = new Set<string>()
  readonly #completed = new Set<string>()
  /** Who was paid for which of the shop's orders. */
  readonly #payments: { readonly number: string | undefined; readonly sent: Sent }[] = []

  constructor(shop: number, counts: Counts = {}, trace?: string[]) {
    const dice = new Dice(shop)
    this.#counts = counts
    this.#trace = trace
    this.#confirm = dice.of(confirms)
    this.#handled = dice.of(handlers)
    this.#spellings = dice.of(spellings)
    this.#referrers = dice.of(referrers)
    this.#referees = dice.of(referees)
    this.#namesOrders = this.#confirm === 'bound' || dice.is()
    if (dice.is()) for (const number of Object.keys(buyers)) this.#paidOrders.add(number)
    this.#shop = { handled: this.#handled, hasConfirm: this.#confirm !== 'none', ...policy }
    this.#model = new ClaimsModel(this.#shop)
    this.#trace?.push(
      `confirm: ${this.#confirm}${this.#namesOrders ? ', names orders' : ''}; handlers: ${this.#handled.join(', ')}`,
    )
  }

  /** Replaces the clock by the history's own time. */
  async run(steps: readonly number[]): Promise<void> {
    const { now } = Date
    Date.now = () => this.#now
    try {
      for (const step of steps) {
        this.#now += 1
        await this.#step(new Dice(step))
        this.#compare()
      }
      if (this.#confirm === 'bound') await this.#end()
    } finally {
      Date.now = now
    }
  }

  #saw(what: string): void {
    this.#counts[what] = (this.#counts[what] ?? 0) + 1
  }

  #step(dice: Dice): Promise<void> | void {
    const kind = dice.below(25)
    if (kind < 7) return this.#callback(dice)
    if (kind < 11) return this.#look(dice)
    if (kind < 18) return this.#advance(dice)
    if (kind === 18) return this.#crash(dice)
    if (kind === 19) return this.#pass(dice)
    if (kind === 20) return this.#pay(dice)
    if (kind === 21) return this.#replayDelivery(dice)
    if (kind === 22) return this.#replayConflict(dice)
    if (kind === 23) return this.#deploy()
    return this.#forget(dice)
  }

  /** Switches `confirm` on or off for new attempts; running ones go on as they began. A shop that relies on `confirm` keeps it on. */
  #deploy(): void {
    if (this.#confirm === 'bound' || this.#confirm === 'none') return
    this.#shop.hasConfirm = !this.#shop.hasConfirm
    this.#trace?.push(this.#shop.hasConfirm ? 'confirm is asked again' : 'confirm is not asked any more')
  }

  #claiming(owner: string, mayRun: boolean): Claiming {
    const handlers = { has: (event: Event) => this.#handled.includes(event) }
    return { owner, mayRun: () => mayRun, now: this.#now, handlers, hasConfirm: this.#shop.hasConfirm }
  }

  /** Whether a change claims deliveries: not in a process that only records. */
  #taking(dice: Dice, owner: string) {
    const choice = dice.below(4)
    return choice === 0 ? undefined : { owner, mayRun: choice !== 1, now: this.#now }
  }

  #callback(dice: Dice): void {
    const [spelling, referrer, referee] = [dice.of(this.#spellings), dice.of(this.#referrers), dice.of(this.#referees)]
    const [status, goal, amount] = [dice.of(statuses), dice.is(), dice.of(['10', undefined, '10', '10.0', '20'])]
    // Without an order id only the people identify a conversion.
    if (spelling === '' && referee === '') return
    const owner = dice.of(this.#owners)
    const taking = this.#taking(dice, owner)
    const turn = dice.below(8)
    const params = {
      conversion: status,
      ...(referrer !== '' && { referrer_email: referrer }),
      ...(referee !== '' && { referee_email: referee }),
      ...(spelling !== '' && { orderID: spelling }),
      ...(amount !== undefined && { purchaseValue: amount }),
      goal_complete: goal ? '1' : '0',
    }
    const callback: Callback = { status, params, extra: {}, repairs: [], scope: '', receivedAt: this.#now }
    const identity = identityOf(callback)
    const order = spelling.trim()
    const sent: Sent = {
      identity: order === '' ? `${referrer.toLowerCase()} ${referee}` : order,
      ...{ referrer: referrer.toLowerCase(), referee, status, goal, at: this.#now },
      amount: amount === undefined ? undefined : Number(amount),
      content: JSON.stringify(params),
    }
    this.#identities.set(identity, sent.identity)
    this.#trace?.push(`callback ${sent.content}${taking ? (taking.mayRun ? ` at ${owner}` : ' without a slot') : ''}`)
    this.#findLikeSql(callback, identity, turn)

    const known = new Set(this.#model.claims)
    const { accepted, started } = this.#store.make<ClaimResult & { accepted: { outcome: string; id: string } }>({
      callback: { identity, people: peopleOf(callback) },
      apply: (found) => recordCallback(found, identity, callback, taking && this.#claiming(owner, taking.mayRun)),
    })
    const { outcome, row, claim, conflict } = this.#model.receive(sent, taking)
    this.#trace?.push(`  ${accepted.outcome} by row ${String(row)}`)
    this.#saw(`row ${String(row)}`)
    this.#saw(outcome)
    assert.equal(accepted.outcome, outcome)
    this.#sent.push({ sent, number: numbers[spelling], outcome })
    if (conflict !== undefined) {
      this.#conflictIds.set(conflict, accepted.id)
      return
    }
    if (claim && !known.has(claim)) this.#name(claim, accepted.id)
    if (claim && status === 'fail' && outcome === 'accepted') this.#checkFail(sent, claim)
    assert.equal(claim && this.#ids.get(claim), accepted.id, 'it belongs to another claim')
    this.#start(started)
  }

  #name(claim: Claim, id: string): void {
    assert(!this.#claims.has(id), 'two claims have one id')
    this.#ids.set(claim, id)
    this.#claims.set(id, claim)
  }

  /** Checks that the claims which a SQL store finds lead to the same row as all claims. */
  #findLikeSql(callback: Callback, identity: string, turn: number): void {
    const all = this.#store.claimsOf(identity)
    if (all.length < 2) return
    const holder = this.#store.reservations.get(identity)
    const found = foundBySql(all, identity, peopleOf(callback), holder, turn)
    if (found.length < all.length) this.#saw('found less than all')
    assert.equal(
      rowOf(callback, identity, found, holder),
      rowOf(callback, identity, all, holder),
      'SQL finds too little',
    )
  }

  /** Checks that a fail takes back or withdraws a delivery only of a claim with exactly its people. */
  #checkFail({ referrer, referee }: Sent, claim: Claim): void {
    const { people, isEmptied } = claim
    if (people !== undefined) assert.equal(people, `${referrer} referred ${referee}`, "a fail reverses another's claim")
    else assert(!isEmptied && claim.referrer === referrer && claim.referee === referee, 'a fail of somebody else')
  }

  #start(started: ClaimResult['started']): void {
    if (started === undefined) return
    const claim = this.#claims.get(started.claim)
    const key = keyOf(started.delivery)
    const delivery = claim?.deliveries.find((each) => each.key === key)
    const { owner } = started.delivery
    assert(claim && delivery && owner !== undefined, 'the model does not know what is taken up')
    this.#trace?.push(`  ${owner} takes up ${this.#call(claim)}:${key}`)
    const attempt: Attempt = {
      id: started.claim,
      claim,
      taken: started.delivery,
      delivery,
      owner,
      startedAt: started.delivery.startedAt,
      stage: 'taken',
    }
    this.#attempts.push(attempt)
    if (!isPaying(delivery) || !this.#shop.hasConfirm) this.#enter(attempt)
  }

  /** The handler starts: from now on it may have paid, even if the attempt fails. */
  #enter(attempt: Attempt): void {
    const { claim, delivery, taken } = attempt
    attempt.stage = 'handler'
    if (delivery.key === 'reversal') {
      this.#saw('reversal')
      assert(
        [...this.#completed].some((done) => done === `${attempt.id}:success` || done === `${attempt.id}:goalComplete`),
      )
    }
    if (!isPaying(delivery)) return
    const permit = `${attempt.id}:${delivery.key}`
    if (!this.#shop.hasConfirm && claim.order !== claim.identity)
      this.#saw('paid without confirm for an order that it named')
    for (const order of new Set([claim.identity, claim.order ?? claim.identity, attempt.named ?? claim.identity])) {
      const payee = this.#payee.get(order)
      if (payee !== undefined && payee !== claim) {
        assert(this.#permits.has(permit), `a second claim is paid for ${order}`)
        this.#saw('moved by a person')
      }
      this.#payee.set(order, claim)
    }
    // A replay lets the claim take the order once, with any of its deliveries.
    for (const event of ['success', 'goalComplete']) this.#permits.delete(`${attempt.id}:${event}`)
    this.#saw('paid')
    const { params } = taken.callback
    const sent = { referrer: params.referrer_email?.toLowerCase() ?? '', referee: params.referee_email ?? '' }
    this.#payments.push({ number: numbers[params.orderID ?? ''], sent: { ...sent } as Sent })
  }

  #look(dice: Dice): void {
    const claim = dice.among(this.#model.claims)
    const owner = dice.of(this.#owners)
    if (claim !== undefined) this.#lookAt(claim, owner, dice.below(5) !== 4)
  }

  #lookAt(claim: Claim, owner: string, mayRun = true): void {
    this.#trace?.push(`${owner} looks at ${this.#call(claim)}${mayRun ? '' : ' without a slot'}`)
    const isGone = (other: string) => !this.#owners.includes(other)
    const isGoneFrom = ({ owner: other = '' }: { readonly owner?: string | undefined }) => isGone(other)
    const id = this.#idOf(claim)
    const { started } = this.#store.make<ClaimResult>({
      claim: id,
      apply: (found) => takeOver(found, isGoneFrom, { ...policy, now: this.#now }, this.#claiming(owner, mayRun)),
    })
    this.#model.look(claim, isGone, { owner, mayRun, now: this.#now })
    this.#start(started)
  }

  /** Makes one step of one attempt, even if its process was taken for gone. */
  #advance(dice: Dice): void {
    const attempt = dice.among(this.#attempts)
    if (attempt === undefined) return
    if (!this.#owners.includes(attempt.owner)) this.#saw('taken for gone')
    if (attempt.stage === 'taken') this.#ask(attempt, this.#answer(attempt, dice), dice)
    else if (attempt.stage === 'committed') this.#settle(attempt, dice.is() ? { say: 'failed' } : { say: 'done' }, dice)
    else {
      const choice = dice.below(4)
      if (choice < 2) this.#commit(attempt)
      else this.#settle(attempt, { say: choice === 2 ? 'done' : 'failed' }, dice)
    }
  }

  #answer({ taken: { callback } }: Attempt, dice: Dice): Answer {
    const { orderID = '', referrer_email: referrer = '', referee_email: referee = '' } = callback.params
    const number = numbers[orderID]
    const yes = (order: string): Answer => (this.#namesOrders ? { say: 'yes', order } : { say: 'yes' })
    const until = this.#now + dice.of([0, 5, 30, 50]) * hourMs
    if (this.#confirm === 'wild') {
      const choice = dice.below(8)
      if (choice < 4) return yes(dice.of(['1001', '2002']))
      return choice === 7 ? { say: 'date', until } : { say: dice.of(['no', 'hold', 'fails']) }
    }
    if (number === undefined) return { say: 'no' }
    if (this.#confirm === 'bound') {
      const buyer = buyers[number]
      if (buyer?.referrer !== referrer.toLowerCase() || buyer.referee !== referee) return { say: 'no' }
    }
    if (this.#paidOrders.has(number)) return dice.below(6) === 5 ? { say: 'fails' } : yes(number)
    return dice.is() ? { say: 'date', until } : { say: 'hold' }
  }

  /** Asks `confirm`; after its yes, reserves the order and starts the handler. */
  #ask(attempt: Attempt, answer: Answer, dice: Dice): void {
    const { id, claim, delivery, taken } = attempt
    this.#trace?.push(`confirm of ${this.#call(claim)}:${delivery.key}: ${JSON.stringify(answer)}`)
    this.#saw(`confirm: ${answer.say}`)
    if (answer.say === 'no') return this.#settle(attempt, { say: 'refused' }, dice)
    if (answer.say === 'hold') return this.#settle(attempt, { say: 'held' }, dice)
    if (answer.say === 'date') return this.#settle(attempt, { say: 'held', until: answer.until }, dice)
    if (answer.say === 'fails') return this.#settle(attempt, { say: 'failed' }, dice)
    const { order: named } = answer as { order?: string }
    const order = named === undefined ? undefined : orderIdentity('', named)
    const reserved = this.#store.make({
      claim: id,
      order,
      apply: (found) => reserveOrder(found, attemptOf(id, taken), order),
    })
    const expected = this.#model.reserve(claim, delivery, attempt, named)
    if (named !== undefined) attempt.named = named
    if (expected === 'yes') {
      assert.deepEqual(reserved, {})
      this.#saw('reserved')
      return this.#enter(attempt)
    }
    if (typeof expected === 'object') {
      assert.deepEqual(reserved, { verdict: { state: 'refused', takenBy: this.#idOf(expected) } })
      this.#saw('taken at the reservation')
      return this.#settle(attempt, { say: 'refused', takenBy: expected }, dice)
    }
    this.#saw(`reservation: ${expected}`)
    if (expected === 'another') assert.deepEqual(reserved, { isAnotherOrder: true })
    else {
      const code = expected === 'lapsed' ? 'ERR_CONVERSION_ATTEMPT_LAPSED' : 'ERR_CONVERSION_ORDER_TAKEN'
      assert.deepEqual(reserved, { verdict: { state: 'waiting', code } })
    }
    this.#settle(attempt, { say: 'failed' }, dice)
  }

  #commit(attempt: Attempt): void {
    const { id, claim, delivery, taken, owner, named } = attempt
    const order = named === undefined ? undefined : orderIdentity('', named)
    const expected = this.#model.commit(claim, delivery, attempt, named)
    const committed = this.#tried(() =>
      this.#store.make({
        claim: id,
        order,
        apply: (found) => commitAttempt(found, attemptOf(id, taken), { ...policy, now: this.#now }, order),
      }),
    )
    const codes = { done: undefined, lapsed: 'ERR_CONVERSION_ATTEMPT_LAPSED', taken: 'ERR_CONVERSION_ORDER_TAKEN' }
    this.#trace?.push(`commit of ${this.#call(claim)}:${delivery.key} by ${owner}: ${expected}`)
    assert.equal(committed, codes[expected])
    this.#saw(`commit: ${expected}`)
    attempt.stage = 'committed'
    if (expected === 'done') this.#complete(attempt)
  }

  #complete({ id, delivery }: Attempt): void {
    const done = `${id}:${delivery.key}`
    assert(!this.#completed.has(done), `${done} completes twice`)
    this.#completed.add(done)
  }

  #settle(attempt: Attempt, verdict: Verdict, dice: Dice): void {
    const { id, claim, delivery, taken, owner } = attempt
    this.#attempts = this.#attempts.filter((other) => other !== attempt)
    const taking = this.#taking(dice, owner)
    this.#trace?.push(`${this.#call(claim)}:${delivery.key} of ${owner} ends ${verdict.say}`)
    if (verdict.say === 'done' && isRunOf(delivery, attempt)) this.#complete(attempt)
    const { started } = this.#store.make<ClaimResult>({
      claim: id,
      apply: (found) => {
        const claiming = taking && this.#claiming(owner, taking.mayRun)
        return settleAttempt(
          found,
          attemptOf(id, taken),
          this.#verdict(verdict),
          { ...policy, now: this.#now },
          claiming,
        )
      },
    })
    this.#model.settle(claim, delivery, attempt, verdict, this.#now, taking)
    this.#start(started)
  }

  #verdict(verdict: Verdict): LibVerdict {
    if (verdict.say === 'done') return { state: 'done' }
    if (verdict.say === 'failed') return { state: 'waiting', code: 'ERR_CONVERSION_HANDLER_FAILED' }
    if (verdict.say === 'refused') {
      const { takenBy } = verdict as { takenBy?: Claim }
      return { state: 'refused', ...(takenBy && { takenBy: this.#idOf(takenBy) }) }
    }
    return {
      state: 'waiting',
      code: 'ERR_CONVERSION_DELIVERY_HELD',
      ...('until' in verdict && { until: verdict.until }),
    }
  }

  /** A process is taken for gone: its attempts end, or go on although they have lapsed. */
  #crash(dice: Dice): void {
    const index = dice.below(2)
    const [gone, isReally] = [this.#owners[index], dice.is()]
    this.#owners = this.#owners.with(index, `${String(gone)}'`)
    if (isReally) this.#attempts = this.#attempts.filter(({ owner }) => owner !== gone)
    this.#trace?.push(`${String(gone)} ${isReally ? 'is killed' : 'falls silent'}`)
  }

  #pass(dice: Dice): void {
    const ms = dice.of([2_000, hourMs, 24 * hourMs, 10_000])
    this.#trace?.push(`${String(ms)} ms pass`)
    this.#now += ms
  }

  #pay(dice: Dice): void {
    const number = dice.of(['1001', '2002'])
    this.#trace?.push(`${number} is paid`)
    this.#paidOrders.add(number)
  }

  async #replayDelivery(dice: Dice): Promise<void> {
    const all = this.#model.claims.flatMap((claim) => claim.deliveries.map((delivery) => ({ claim, delivery })))
    const refused = all.filter(({ delivery }) => delivery.takenBy !== undefined)
    const chosen = dice.among(refused.length > 0 && dice.is() ? refused : all)
    if (chosen !== undefined) await this.#replayIt(chosen.claim, chosen.delivery)
  }

  async #replayIt(claim: Claim, delivery: Delivery): Promise<void> {
    const id = deliveryId(this.#idOf(claim), delivery.key)
    const isTaken = delivery.takenBy !== undefined
    const isPossible = this.#model.replayDelivery(claim, delivery)
    this.#trace?.push(`replay of ${this.#call(claim)}:${delivery.key}${isPossible ? '' : ' is impossible'}`)
    assert.equal(await this.#rejected(this.#replay(id)), isPossible ? undefined : 'ERR_CONVERSION_REPLAY_IMPOSSIBLE')
    if (isPossible && isTaken) {
      this.#permits.add(id)
      this.#saw('replay of a refused delivery')
    }
    if (!isPossible && isTaken) this.#saw('no replay while the holder runs')
  }

  async #replayConflict(dice: Dice): Promise<void> {
    const key = dice.among([...this.#model.conflicts.keys()])
    const id = key === undefined ? undefined : this.#conflictIds.get(key)
    if (key === undefined || id === undefined) return
    const known = new Set(this.#model.claims)
    const claim = this.#model.replayConflict(key)
    this.#trace?.push(`replay of the conflict ${key}${claim ? '' : ' is impossible'}`)
    assert.equal(await this.#rejected(this.#replay(id)), claim ? undefined : 'ERR_CONVERSION_REPLAY_IMPOSSIBLE')
    if (claim === undefined) return
    if (known.has(claim) && this.#ids.get(claim) !== id) {
      this.#decidedFor.add(claim)
      this.#saw('replay into a claim')
      return
    }
    if (!this.#ids.has(claim)) this.#name(claim, id)
    for (const event of ['success', 'goalComplete']) this.#permits.add(`${id}:${event}`)
    this.#saw('replay of a conflict')
  }

  async #forget(dice: Dice): Promise<void> {
    if (dice.is()) {
      this.#trace?.push('prune')
      this.#model.prune()
      await pruner(this.#store)({ olderThanDays: 0 })
    } else {
      const email = dice.of([ann, bob, eve, dan])
      this.#trace?.push(`erase ${email}`)
      await eraser(this.#store)({ email })
      this.#model.erase(email)
      // A person who erases a dead claim that was never paid gives the claim up.
      const givenUp = this.#model.claims.filter(
        ({ isEmptied, deliveries }) => isEmptied && deliveries.some(({ state }) => state === 'dead'),
      )
      for (const claim of givenUp) this.#decidedFor.add(claim)
    }
    if (this.#model.claims.some(({ isEmptied }) => isEmptied)) this.#saw('forgotten')
  }

  /** Pays every order and settles every delivery; then checks that the buyers' own claims were paid, and no others. */
  async #end(): Promise<void> {
    this.#trace?.push('everything comes to its end')
    for (const number of Object.keys(buyers)) this.#paidOrders.add(number)
    for (let round = 0; this.#isUnsettled(); round++) {
      assert(round < 50, 'it never ends')
      this.#now += 50 * hourMs
      for (const claim of [...this.#model.claims]) {
        for (const delivery of claim.deliveries) if (delivery.state === 'dead') await this.#replayIt(claim, delivery)
        this.#lookAt(claim, this.#owners[0] ?? '')
      }
      const alive = this.#attempts.filter(({ owner }) => this.#owners.includes(owner))
      for (const attempt of alive) {
        if (attempt.stage === 'taken') this.#ask(attempt, this.#answer(attempt, new Dice(0)), new Dice(0))
        else this.#settle(attempt, { say: 'done' }, new Dice(0))
      }
      this.#compare()
    }
    for (const { number, sent } of this.#payments) {
      assert(number !== undefined && isBuyer(number, sent), 'somebody else than the buyer is paid')
    }
    for (const number of Object.keys(buyers)) if (this.#owes(number)) this.#requirePaid(number)
  }

  #isUnsettled(): boolean {
    return this.#model.claims.some(({ deliveries }) =>
      deliveries.some(
        ({ state, sent }) => state === 'waiting' || state === 'running' || (state === 'dead' && sent !== undefined),
      ),
    )
  }

  /** Whether the buyer's own success came, and neither the buyer's own fail nor a person's decision took it back. */
  #owes(number: string): boolean {
    const about = this.#sent.filter((each) => each.number === number)
    const isDecided = [...this.#decidedFor].some(({ identity }) => numbers[identity] === number)
    const isFailed = isDecided || about.some(({ sent }) => sent.status === 'fail' && isBuyer(number, sent))
    const isReported = about.some(({ sent }) => sent.status === 'success' && isBuyer(number, sent))
    return this.#handled.includes('success') && isReported && !isFailed
  }

  #requirePaid(number: string): void {
    assert(
      this.#payments.some((payment) => payment.number === number),
      `the buyer of ${number} is never paid`,
    )
    this.#saw('an honest claim is paid')
  }

  #tried(fn: () => unknown): string | undefined {
    try {
      fn()
      return undefined
    } catch (error) {
      return codeOf(error)
    }
  }

  async #rejected(promise: Promise<unknown>): Promise<string | undefined> {
    try {
      await promise
      return undefined
    } catch (error) {
      return codeOf(error)
    }
  }

  #idOf(claim: Claim): string {
    const id = this.#ids.get(claim)
    assert(id !== undefined)
    return id
  }

  #call(claim: Claim): string {
    return `claim ${String(this.#model.claims.indexOf(claim) + 1)}`
  }

  /** Checks that store and model agree about every claim and every order. */
  #compare(): void {
    assert.equal(this.#store.all.size, this.#model.claims.length, 'another number of claims')
    for (const claim of this.#model.claims) this.#compareClaim(claim)
    assert.equal(this.#store.reservations.size, this.#model.holders.size, 'another number of reservations')
    for (const [order, claim] of this.#model.holders) {
      const key = this.#keyOf(order)
      assert.equal(this.#store.reservations.get(key), this.#ids.get(claim), `another claim has ${order}`)
    }
    assert.equal(this.#store.kept.size, this.#model.conflicts.size, 'another number of conflicts')
  }

  #keyOf(order: string): string {
    for (const [identity, name] of this.#identities) if (name === order) return identity
    return orderIdentity('', order)
  }

  #compareClaim(claim: Claim): void {
    const record = this.#store.all.get(this.#idOf(claim))
    assert(record)
    const { status, goal, referrerEmail = '', refereeEmail = '', purchaseValue, isEmptied = false, order } = record
    const isSame =
      status === claim.status &&
      goal === claim.goal &&
      referrerEmail === claim.referrer &&
      refereeEmail === claim.referee &&
      purchaseValue === claim.amount &&
      isEmptied === claim.isEmptied &&
      order === (claim.order === undefined ? undefined : this.#keyOf(claim.order)) &&
      record.deliveries.length === claim.deliveries.length &&
      claim.deliveries.every((delivery) => {
        const other = findDelivery(record, delivery.key)
        return other !== undefined && this.#isSameDelivery(delivery, other)
      })
    if (!isSame) assert.deepEqual(this.#shown(claim), record, 'the claim is another')
  }

  #isSameDelivery(delivery: Delivery, other: LibDelivery): boolean {
    return (
      other.state === delivery.state &&
      other.sequence === delivery.turn &&
      other.attempts === delivery.attempts &&
      other.owner === delivery.owner &&
      (other.takesOrder ?? false) === delivery.takesOrder &&
      other.takenBy === (delivery.takenBy && this.#ids.get(delivery.takenBy)) &&
      (other.state !== 'waiting' || other.dueAt === delivery.dueAt)
    )
  }

  #shown(claim: Claim) {
    const deliveries = claim.deliveries.map(({ sent: _sent, takenBy, ...rest }) => ({
      ...rest,
      takenBy: takenBy && this.#ids.get(takenBy),
    }))
    return { ...claim, deliveries }
  }
}

function isBuyer(number: string, { referrer, referee }: Pick<Sent, 'referrer' | 'referee'>): boolean {
  const buyer = buyers[number]
  return buyer?.referrer === referrer && buyer.referee === referee
}

function codeOf(error: unknown): string {
  if (isConversionWebhookError(error)) return error.code
  throw error
}
