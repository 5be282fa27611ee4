import fc from 'fast-check'
import { conversionWebhook, memoryInbox, type Conversion, type ConversionContext, type Inbox } from '../../lib/index.js'
import { DurableInbox } from '../../lib/inbox/durable-inbox.js'
import { openSqlite } from '../../lib/inbox/stores/sqlite-open.js'
import { SqliteStore } from '../../lib/inbox/stores/sqlite.js'
import { postgresInbox } from '../../lib/postgres.js'
import { settled } from '../contract/inboxes.js'
import { cases } from '../support/cases.js'
import { params } from '../support/callbacks.js'
import { hasPostgres, startServer, type Server } from '../support/postgres.js'
import { deferred } from '../support/recorder.js'
import { hasSqlite, temporaryFolder } from '../support/sqlite.js'
import { ClaimsModel, isPaying, type Claim, type Delivery, type Sent } from './claims-model.js'

/* Who is paid, on each inbox: random histories of rivals through a real webhook, each in its own scope, compared with the model. */

const [ann, bob, eve] = ['ann@example.com', 'bob@example.com', 'eve@example.com'] as const
const numbers: Readonly<Record<string, string>> = { '1001': '1001', ' 1001': '1001', '01001': '1001', '2002': '2002' }

const callback = fc.record({
  orderID: fc.constantFrom('1001', '1001', ' 1001', '01001', '2002'),
  referrer: fc.constantFrom(ann, eve, ''),
  referee: fc.constantFrom(bob, bob, ''),
  status: fc.constantFrom('success', 'success', 'pending', 'fail'),
  goal: fc.boolean(),
  amount: fc.constantFrom('10', undefined, '20'),
})
const step = fc.oneof(
  { weight: 8, arbitrary: fc.record({ callback }) },
  { weight: 1, arbitrary: fc.record({ replayDelivery: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.record({ replayConflict: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.record({ erase: fc.constantFrom(ann, bob, eve) }) },
  { weight: 1, arbitrary: fc.constant('restart' as const) },
)
const shop = fc.record({ confirm: fc.constantFrom('bound', 'naive', 'none'), namesOrders: fc.boolean() })

type Valued<A> = A extends fc.Arbitrary<infer T> ? T : never
type Step = Valued<typeof step>
type Rules = Valued<typeof shop>

/** The answer of a shop's `confirm`, as the model takes it: the name of the order, or undefined for no. */
function answerOf({ confirm, namesOrders }: Rules, orderID: string, referrer: string, referee: string) {
  if (confirm === 'bound' && (referrer !== ann || referee !== bob)) return undefined
  return { order: namesOrders || confirm === 'bound' ? numbers[orderID] : undefined }
}

/** One shop in one scope, and the model of it. */
class Life {
  readonly paid: string[] = []
  readonly expected: string[] = []
  readonly trace: unknown[] = []
  readonly #rules: Rules
  readonly #scope: string
  readonly #reopen: () => Inbox
  readonly #model: ClaimsModel
  #webhook
  #inbox: Inbox
  readonly #ids = new Map<Claim, string>()
  readonly #conflictIds = new Map<string, string>()
  #now = 0

  constructor(rules: Rules, scope: string, inbox: Inbox, reopen: () => Inbox) {
    this.#rules = rules
    this.#scope = scope
    this.#reopen = reopen
    this.#inbox = inbox
    const handled = ['pending', 'success', 'goalComplete', 'fail'] as const
    this.#model = new ClaimsModel({ handled, hasConfirm: rules.confirm !== 'none', maxAttempts: 12, maxHoldMs: 1e9 })
    this.#webhook = this.#open(inbox)
  }

  #open(inbox: Inbox) {
    const handle = ({ params: sent }: Conversion, { id }: ConversionContext) => {
      const { orderID, referrer_email: referrer = '', referee_email: referee = '' } = sent
      this.paid.push([id.slice(id.lastIndexOf(':') + 1), orderID, referrer, referee].join(' '))
    }
    const confirm = ({ params: sent }: Conversion) => {
      const answer = answerOf(this.#rules, sent.orderID ?? '', sent.referrer_email ?? '', sent.referee_email ?? '')
      if (answer === undefined) return false
      return answer.order === undefined ? true : { order: answer.order }
    }
    return conversionWebhook(
      { onPending: handle, onSuccess: handle, onGoalComplete: handle, onFail: handle, onError: () => undefined },
      { secret: false, inbox, ...(this.#rules.confirm !== 'none' && { confirm }) },
    )
  }

  async step(each: Step): Promise<void> {
    this.#now++
    this.trace.push(each)
    if (each === 'restart') await this.#restart()
    else if ('callback' in each) await this.#send(each.callback)
    else if ('replayDelivery' in each) await this.#replayDelivery(each.replayDelivery)
    else if ('replayConflict' in each) await this.#replayConflict(each.replayConflict)
    else await this.#erase(each.erase)
    await settled(this.#inbox)
    expect({ trace: this.trace, paid: this.paid }).toEqual({ trace: this.trace, paid: this.expected })
  }

  async #restart(): Promise<void> {
    if (!this.#inbox.isDurable) return
    await this.close()
    this.#inbox = this.#reopen()
    this.#webhook = this.#open(this.#inbox)
  }

  close(): Promise<void> {
    return this.#webhook.close()
  }

  async #send({ orderID, referrer, referee, status, goal, amount }: Valued<typeof callback>): Promise<void> {
    const said = params({
      ...{ conversion: status, orderID, goal_complete: goal ? '1' : '0', purchaseValue: amount },
      referrer_email: referrer === '' ? undefined : referrer,
      referee_email: referee === '' ? undefined : referee,
    })
    const sentAt = Date.now()
    while (Date.now() === sentAt) await new Promise(setImmediate) // no two claims may have the same age
    const { outcome, id } = await this.#webhook.accept(said, { scope: this.#scope })
    const sent: Sent = {
      ...{ identity: orderID.trim(), referrer, referee, status, goal, at: this.#now },
      amount: amount === undefined ? undefined : Number(amount),
      content: JSON.stringify({ ...said, orderID }),
    }
    const expected = this.#model.receive(sent)
    expect({ trace: this.trace, outcome }).toEqual({ trace: this.trace, outcome: expected.outcome })
    const { claim } = expected
    if (claim === undefined || outcome === 'conflict') {
      this.#conflictIds.set(expected.conflict ?? '', id)
      return
    }
    expect(this.#ids.get(claim) ?? id).toBe(id)
    this.#ids.set(claim, id)
    this.#deliver(claim)
  }

  /** Settles all deliveries of a claim. */
  #deliver(claim: Claim): void {
    const taking = { owner: 'one', mayRun: true, now: this.#now }
    let delivery = this.#model.look(claim, () => false, taking)
    while (delivery !== undefined) delivery = this.#attempt(claim, delivery, taking.now)
  }

  #attempt(claim: Claim, delivery: Delivery, now: number): Delivery | undefined {
    const taking = { owner: 'one', mayRun: true, now }
    const run = { owner: 'one', startedAt: delivery.startedAt }
    const { content } = delivery.sent ?? { content: '{}' }
    const {
      orderID = '',
      referrer_email: referrer = '',
      referee_email: referee = '',
    } = JSON.parse(content) as Record<string, string>
    if (isPaying(delivery) && this.#rules.confirm !== 'none') {
      const answer = answerOf(this.#rules, orderID, referrer, referee)
      const reserved = answer && this.#model.reserve(claim, delivery, run, answer.order)
      if (reserved !== 'yes') {
        const takenBy = typeof reserved === 'object' ? { takenBy: reserved } : {}
        return this.#model.settle(claim, delivery, run, { say: 'refused', ...takenBy }, now, taking)
      }
    }
    this.expected.push([delivery.key, orderID, referrer, referee].join(' '))
    return this.#model.settle(claim, delivery, run, { say: 'done' }, now, taking)
  }

  async #replayDelivery(index: number): Promise<void> {
    const refused = this.#model.claims.flatMap((claim) =>
      claim.deliveries.filter(({ state }) => state === 'refused').map((delivery) => ({ claim, delivery })),
    )
    const chosen = refused[index % Math.max(1, refused.length)]
    if (chosen === undefined) return
    const { claim, delivery } = chosen
    const isReplayed = await this.#isReplayed(`${this.#ids.get(claim) ?? ''}:${delivery.key}`)
    expect(isReplayed).toBe(this.#model.replayDelivery(claim, delivery))
    if (isReplayed) this.#deliver(claim)
  }

  async #replayConflict(index: number): Promise<void> {
    const keys = [...this.#model.conflicts.keys()]
    const key = keys[index % Math.max(1, keys.length)]
    const id = key === undefined ? undefined : this.#conflictIds.get(key)
    if (key === undefined || id === undefined) return
    const claim = this.#model.replayConflict(key)
    expect(await this.#isReplayed(id)).toBe(claim !== undefined)
    if (claim === undefined) return
    if (!this.#ids.has(claim)) this.#ids.set(claim, id)
    this.#deliver(claim)
  }

  #isReplayed(id: string): Promise<boolean> {
    return this.#inbox.replay(id).then(
      () => true,
      (error: unknown) => {
        expect(error).toMatchObject({ code: 'ERR_CONVERSION_REPLAY_IMPOSSIBLE' })
        return false
      },
    )
  }

  async #erase(email: string): Promise<void> {
    await this.#inbox.erase({ email })
    this.#model.erase(email)
  }
}

/** Runs histories over one storage, one after another, each in its own scope. */
function histories(open: () => Inbox, runs: number): Promise<void> {
  let count = 0
  return fc.assert(
    fc.asyncProperty(shop, fc.array(step, { minLength: 1, maxLength: 16, size: 'max' }), async (rules, steps) => {
      const life = new Life(rules, `history ${String(++count)}`, open(), open)
      try {
        for (const each of steps) await life.step(each)
      } finally {
        await life.close()
      }
    }),
    { numRuns: cases(runs) },
  )
}

function describeInbox(open: () => Inbox, runs: number): void {
  test('pays whom the model says', () => histories(open, runs), 240_000)

  test('replays no conflict while a delivery runs of the claim that has the order', async () => {
    const [started, end] = [deferred(), deferred()]
    const onSuccess = async (): Promise<void> => {
      started.resolve()
      await end.promise
    }
    const webhook = conversionWebhook({ onSuccess }, { secret: false, inbox: open() })
    const first = webhook.accept(params({ orderID: 'running' }))
    await started.promise
    const { id } = await webhook.accept(params({ orderID: 'running', referrer_email: eve }))
    await expect(webhook.inbox.replay(id)).rejects.toMatchObject({ code: 'ERR_CONVERSION_REPLAY_IMPOSSIBLE' })
    end.resolve()
    await first
    await settled(webhook.inbox)
    await webhook.inbox.replay(id)
    await webhook.close()
  })

  test('does not restore erased people from a conflict that comes and is replayed again after erase', async () => {
    const ignore = () => undefined
    const webhook = conversionWebhook({ onSuccess: ignore, onFail: ignore }, { secret: false, inbox: open() })
    const { inbox } = webhook
    const send = async (conversion: string) => {
      const { outcome, id } = await webhook.accept(
        params({ conversion, orderID: 'erased', referrer_email: ann, referee_email: bob }),
      )
      await settled(inbox)
      return { outcome, id }
    }
    await send('success')
    await send('fail')
    const conflict = await send('success')
    expect(conflict.outcome).toBe('conflict')
    await inbox.replay(conflict.id)
    await settled(inbox)
    await inbox.erase({ email: ann })
    expect(await send('success')).toEqual(conflict)
    await inbox.replay(conflict.id)
    await settled(inbox)
    const entry = await inbox.get(`${conflict.id}:success`)
    expect(entry?.claims.find(({ id }) => id === conflict.id)).toMatchObject({ status: 'success', hasOrder: true })
    expect(entry?.claims.filter(({ referrerEmail, refereeEmail }) => referrerEmail ?? refereeEmail)).toEqual([])
    await webhook.close()
  })
}

describe('memoryInbox', () => describeInbox(memoryInbox, 100))

const describeSqlite = hasSqlite ? describe : describe.skip

describeSqlite('sqliteInbox', () => {
  const folder = temporaryFolder()
  afterAll(() => folder.remove())
  describeInbox(() => new DurableInbox(new SqliteStore(openSqlite(folder.file('inbox.db')))), 50)
})

const describePostgres = hasPostgres ? describe : describe.skip

describePostgres('postgresInbox', () => {
  let server: Server
  beforeAll(async () => {
    server = await startServer()
  })
  afterAll(() => server.stop())
  describeInbox(() => postgresInbox({ connectionString: server.url, schema: 'histories' }), 50)
})
