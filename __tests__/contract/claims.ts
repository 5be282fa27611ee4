import type { ConflictingCallback, ConversionContext, Inbox, SuccessConversion } from '../../lib/index.js'
import { deferred } from '../support/recorder.js'
import { eventually, settled, workbench, type Kind } from './inboxes.js'

const thief = { referrer_email: 'thief@example.com', referee_email: 'thief.too@example.com' }
const blank = { referrer_email: undefined, referee_email: undefined }
const friend = { referrer_email: 'ann@example.com', referee_email: 'bob@example.com' }

/** A shop for `confirm` to ask: the paid orders, each with the e-mail address of its buyer. */
class Shop {
  readonly buyers = new Map<string, string>()

  pay(order: string, buyer = friend.referee_email): void {
    this.buyers.set(order, buyer)
  }

  /** A confirm that says yes only for the order's own buyer. */
  readonly bound = ({ orderId = '', referee }: SuccessConversion) => {
    const buyer = this.buyers.get(orderId)
    if (buyer === undefined) return 'hold' as const
    return buyer === referee.email ? { order: orderId } : false
  }

  /** A confirm that says yes for anyone if the order is paid, and finds the order by any spelling of its number. */
  readonly naive = ({ orderId = '' }: SuccessConversion) => {
    const order = String(Number(orderId))
    return this.buyers.has(order) ? { order } : ('hold' as const)
  }
}

/** One order, one claim: what every inbox does if several people claim an order. */
export function describeClaims(kind: Kind): void {
  const { start, newStorage } = workbench(kind)

  /** A webhook that notes what its handlers paid and took back, by referrer, and what `onConflict` got. */
  async function open(options: Parameters<typeof start>[0] = {}) {
    const conflicts: ConflictingCallback[] = []
    const shop = new Shop()
    const started = await start({
      observers: { onConflict: (conflict) => void conflicts.push(conflict) },
      ...options,
    })
    const { webhook, inbox } = started
    const report: typeof started.report = async (conversion, order, changes) => {
      // A delivery that confirm holds in memory is answered with 503.
      const held = { outcome: 'accepted' as const, id: '' }
      return started.report(conversion, order, changes).catch(() => held)
    }
    /** Resolves when confirm has been asked again for every held delivery; in memory that takes a replay. */
    const retry = async (): Promise<void> => {
      if (!kind.isDurable) {
        for (const { id } of await inbox.list({ state: 'waiting', limit: 1_000 })) await inbox.replay(id)
      }
      await settled(inbox)
    }
    return { ...started, conflicts, shop, report, retry, webhook }
  }

  /** Ids of the paid deliveries, by order. */
  const paid = (told: readonly { event: string; id: string; orderId: string | undefined }[], order: string) => [
    ...new Set(told.filter(({ event, orderId }) => event === 'success' && orderId === order).map(({ id }) => id)),
  ]

  test.each([
    ['with addresses of his own', thief],
    ['without addresses', blank],
    ['with the address of his victim as referee, but not his referrer', { ...thief, referee_email: 'ann@example.com' }],
  ])('who claims the next twenty orders %s gets nothing, and the honest are paid 20 of 20', async (_how, squatter) => {
    const shop = new Shop()
    const { report, told, inbox, retry } = await open({ confirm: shop.bound })
    const orders = Array.from({ length: 20 }, (_each, index) => `S-${String(index)}`)
    const squats = await Promise.all(orders.map((order) => report('success', order, squatter)))
    expect(new Set(squats.map(({ outcome }) => outcome))).toEqual(new Set(['accepted']))
    await atRest(inbox)
    for (const order of orders) shop.pay(order)
    const honest = await Promise.all(orders.map((order) => report('success', order, friend)))
    await retry()
    expect(honest.map(({ outcome }) => outcome)).toEqual(orders.map(() => 'accepted'))
    expect(orders.map((order) => paid(told, order))).toEqual(honest.map(({ id }) => [`${id}:success`]))
    expect(await inbox.list({ state: 'refused', limit: 100 })).toHaveLength(20)
  })

  test('with a confirm that says yes to anyone one claim per order is paid, and onConflict is called for the others', async () => {
    const shop = new Shop()
    const { report, told, inbox, conflicts, retry } = await open({ confirm: shop.naive })
    for (const order of ['1', '2', '3', '4', '5']) {
      shop.pay(order)
      for (const who of [thief, friend, blank]) await report('success', order, who)
    }
    await retry()
    await eventually(
      () => Promise.resolve(conflicts),
      ({ length }) => length >= 5,
    )
    for (const order of ['1', '2', '3', '4', '5']) expect(paid(told, order)).toHaveLength(1)
    for (const { id, recorded, differs } of conflicts) {
      expect(recorded.status).toBe('success')
      expect(differs).not.toEqual([])
      expect(await inbox.get(id)).toBeDefined()
    }
  })

  test('one order of the shop is paid once, however its number is spelt', async () => {
    const shop = new Shop()
    const { report, told, inbox, conflicts } = await open({ confirm: shop.naive })
    shop.pay('1001')
    const spellings = ['1001', '01001', '1001.0', '1.001e3', '0x3e9', '1001.00', '001001']
    const reports = await Promise.all(spellings.map((order) => report('success', order, friend)))
    await settled(inbox)
    const winners = reports.filter(({ id }) => told.some((each) => each.id === `${id}:success`))
    expect(winners).toHaveLength(1)
    await eventually(
      () => Promise.resolve(conflicts),
      ({ length }) => length === spellings.length - 1,
    )
    expect(conflicts[0]?.differs.map(({ parameter }) => parameter)).toEqual(['orderID'])
    const [row] = await inbox.list({ state: 'refused' })
    expect(row).toMatchObject({ code: 'ERR_CONVERSION_ORDER_TAKEN', takenBy: winners[0]?.id })
  })

  test('without confirm the first success gets the order: onConflict is called for a later one, and a waiting rival is refused', async () => {
    const gate = deferred()
    const { report, told, inbox, conflicts, toldTimes } = await open({ handle: () => gate.promise })
    const first = report('success', 'A', friend)
    await toldTimes(1)
    expect(await report('success', 'A', thief)).toMatchObject({ outcome: 'conflict' })
    gate.resolve()
    const { id } = await first
    await settled(inbox)
    expect(told.map((each) => each.id)).toEqual([`${id}:success`])
    expect(conflicts.map(({ differs }) => differs)).toEqual([
      [
        { parameter: 'referrer_email', recorded: 'ann@example.com', received: 'thief@example.com' },
        { parameter: 'referee_email', recorded: 'bob@example.com', received: 'thief.too@example.com' },
      ],
    ])
    const [row] = await inbox.list({ state: 'conflict' })
    expect(row).toMatchObject({ id: conflicts[0]?.id, takenBy: id, differs: conflicts[0]?.differs })
  })

  test("a fail takes back its own claim's reward and nobody else's", async () => {
    const shop = new Shop()
    const { report, told, inbox, retry } = await open({ confirm: shop.bound })
    await report('success', 'A', thief)
    shop.pay('A')
    const { id } = await report('success', 'A', friend)
    await retry()
    await report('fail', 'A', thief)
    expect(await report('fail', 'A', { ...thief, referrer_email: 'another@example.com' })).toMatchObject({
      outcome: 'conflict',
    })
    await settled(inbox)
    expect(told.filter((each) => each.id.endsWith(':reversal'))).toEqual([])
    await report('fail', 'A', friend)
    await settled(inbox)
    expect(told.filter((each) => each.id.endsWith(':reversal')).map((each) => each.id)).toEqual([`${id}:reversal`])
  })

  test('no order is reserved for an event without a handler, nor by a no, a hold or a failure', async () => {
    const answers: (false | 'hold' | Error)[] = [false, 'hold', new Error('no answer')]
    const { report, told, inbox } = await open({
      on: ['onSuccess'],
      maxAttempts: 1,
      confirm: ({ referee }) => {
        if (referee.email === friend.referee_email) return true
        const answer = answers.shift() ?? false
        if (answer instanceof Error) throw answer
        return answer
      },
    })
    await report('pending', 'A', thief)
    await report('success', 'A', thief)
    await report('success', 'A', { ...thief, referee_email: 'a@example.com' })
    await report('success', 'A', { ...thief, referee_email: 'b@example.com' })
    await atRest(inbox)
    const { id } = await report('success', 'A', friend)
    await eventually(
      () => inbox.get(`${id}:success`),
      (row) => row?.state === 'done',
    )
    expect(told.map((each) => each.id)).toEqual([`${id}:success`])
  })

  test('a replay of a refused delivery moves the order, and what still waits of the former claim is refused', async () => {
    const shop = new Shop()
    let isGoalDown = true
    const { report, told, inbox, conflicts, retry } = await open({
      confirm: shop.naive,
      handle: ({ event }) => {
        if (event === 'goalComplete' && isGoalDown) throw new Error('not now')
      },
    })
    shop.pay('7')
    const won = await report('success', '7', { ...thief, goal_complete: '1' })
    await eventually(
      () => inbox.list({ state: 'done' }),
      ({ length }) => length > 0,
    )
    shop.pay('7')
    const lost = await report('success', '07', friend)
    const refused = `${lost.id}:success`
    await eventually(
      () => inbox.get(refused),
      (row) => row?.state === 'refused',
    )
    const [winner] = (await inbox.list({ orderId: '7', state: 'done' })).map(({ id }) => id.split(':')[0] ?? '')
    const entry = await inbox.get(refused)
    expect(entry).toMatchObject({ takenBy: winner, code: 'ERR_CONVERSION_ORDER_TAKEN' })
    expect(entry?.claims.map(({ id, hasOrder }) => [id, hasOrder])).toEqual([
      [lost.id, false],
      [winner, true],
    ])
    await inbox.replay(refused)
    await eventually(
      () => inbox.get(refused),
      (row) => row?.state === 'done',
    )
    isGoalDown = false
    await retry()
    expect(told.filter(({ event }) => event === 'success').map(({ id }) => id.split(':')[0])).toEqual([winner, lost.id])
    expect((await inbox.get(`${winner ?? ''}:goalComplete`))?.state).toBe('refused')
    await eventually(
      () => Promise.resolve(conflicts),
      ({ length }) => length >= 2,
    )
    expect(won.outcome).toBe('accepted')
  })

  test('a replayed conflict takes the order, is paid under an id of its own, and is taken back by its own fail', async () => {
    const { report, told, inbox } = await open({ confirm: () => true })
    const first = await report('success', 'A', thief)
    await settled(inbox)
    const conflict = await report('success', 'A', friend)
    expect(conflict.outcome).toBe('conflict')
    expect((await inbox.get(conflict.id))?.takenBy).toBe(first.id)
    await inbox.replay(conflict.id)
    await eventually(
      () => inbox.get(`${conflict.id}:success`),
      (row) => row?.state === 'done',
    )
    await report('fail', 'A', friend)
    await eventually(
      () => Promise.resolve(told),
      ({ length }) => length === 3,
    )
    expect(told.map(({ id }) => id)).toEqual([
      `${first.id}:success`,
      `${conflict.id}:success`,
      `${conflict.id}:reversal`,
    ])
    expect((await inbox.get(conflict.id))?.claims.map(({ id, hasOrder }) => [id, hasOrder])).toEqual([
      [first.id, false],
      [conflict.id, true],
    ])
  })

  test('every row names the claim that has the order now, for every reason of a refusal', async () => {
    const shop = new Shop()
    const { report, inbox } = await open({ confirm: shop.naive })
    shop.pay('7')
    const won = await report('success', '7', thief)
    await settled(inbox)
    const lost = await report('success', '07', { ...friend, goal_complete: '1' })
    await settled(inbox)
    const rows = [`${won.id}:success`, `${lost.id}:success`, `${lost.id}:goalComplete`]
    const takers = () => Promise.all(rows.map(async (id) => (await inbox.get(id))?.takenBy))
    expect(await takers()).toEqual([undefined, won.id, won.id])

    await inbox.replay(`${lost.id}:success`)
    await eventually(
      () => inbox.get(`${lost.id}:success`),
      (row) => row?.state === 'done',
    )
    expect(await takers()).toEqual([lost.id, undefined, undefined])
    expect(await inbox.get(`${lost.id}:goalComplete`)).toMatchObject({
      state: 'refused',
      code: 'ERR_CONVERSION_ORDER_TAKEN',
    })
    const listed = await inbox.list()
    expect(listed.map(({ id, takenBy }) => [rows.indexOf(id), takenBy]).sort()).toEqual([
      [0, lost.id],
      [1, undefined],
      [2, undefined],
    ])
  })

  test('a fail takes back a replayed conflict rather than an unpaid claim of the same people', async () => {
    const { report, told, inbox } = await open({ confirm: ({ purchaseValue }) => purchaseValue === 12 })
    const first = await report('success', 'A', { ...friend, purchaseValue: '10' })
    await settled(inbox)
    const conflict = await report('success', 'A', { ...friend, purchaseValue: '12' })
    expect(conflict.outcome).toBe('conflict')
    await inbox.replay(conflict.id)
    await eventually(
      () => inbox.get(`${conflict.id}:success`),
      (row) => row?.state === 'done',
    )
    expect(await report('success', 'A', { ...friend, purchaseValue: '10' })).toMatchObject({
      outcome: 'duplicate',
      id: first.id,
    })
    expect(await report('fail', 'A', friend)).toMatchObject({ outcome: 'accepted', id: conflict.id })
    await settled(inbox)
    expect(told.map(({ id }) => id)).toEqual([`${conflict.id}:success`, `${conflict.id}:reversal`])
  })

  test('callbacks that come at the same time belong to the same claims as callbacks one after another', async () => {
    const { report, inbox } = await open({ on: ['onFail'], confirm: () => 'hold' })
    await report('pending', 'A', { referrer_email: undefined, referee_email: 'bob@example.com' })
    await report('success', 'A', { referrer_email: 'thief@example.com', referee_email: undefined })
    const [honest, fail] = await Promise.all([
      report('success', 'A', friend),
      report('fail', 'A', { referrer_email: undefined, referee_email: 'bob@example.com' }),
    ])
    expect([honest.outcome, fail.outcome]).toEqual(['accepted', 'conflict'])
    await settled(inbox)
  })

  test('an order does not move while a delivery of the claim that has it runs', async () => {
    const gate = deferred()
    const { report, told, inbox, toldTimes } = await open({
      confirm: () => true,
      handle: ({ event }) => (event === 'success' ? gate.promise : undefined),
    })
    const paying = report('success', 'A', thief)
    await toldTimes(1)
    const conflict = await report('success', 'A', friend)
    await expect(inbox.replay(conflict.id)).rejects.toMatchObject({ code: 'ERR_CONVERSION_REPLAY_IMPOSSIBLE' })
    gate.resolve()
    await paying
    await settled(inbox)
    expect(told).toHaveLength(1)
  })

  test('an order that a person has moved on is not taken again by other deliveries that were replayed with it', async () => {
    let isGoalHeld = true
    const { report, inbox, told, retry } = await open({
      confirm: (_conversion, { event }) => (event === 'goalComplete' && isGoalHeld ? 'hold' : true),
    })
    const replayed = async (who: object) => {
      const { outcome, id } = await report('success', 'A', { ...who, goal_complete: '1' })
      expect(outcome).toBe('conflict')
      await inbox.replay(id)
      await eventually(
        () => inbox.get(`${id}:success`),
        (row) => row?.state === 'done',
      )
      return id
    }
    await report('success', 'A', thief)
    await settled(inbox)
    const second = await replayed(friend)
    const third = await replayed({ ...friend, referee_email: 'carl@example.com' })
    isGoalHeld = false
    await retry()
    expect(await inbox.get(`${second}:goalComplete`)).toMatchObject({ state: 'refused', takenBy: third })
    expect(await inbox.get(`${third}:goalComplete`)).toMatchObject({ state: 'done' })
    expect(told.filter(({ event }) => event === 'goalComplete').map(({ id }) => id)).toEqual([`${third}:goalComplete`])
  })

  test('a confirm that names another order than before for the same claim is a failed attempt', async () => {
    const orders = ['1', '2']
    const errors: unknown[] = []
    const { report, told, inbox } = await open({
      confirm: () => ({ order: orders.shift() ?? '1' }),
      maxAttempts: 1,
      observers: { onError: ({ error }) => void errors.push(error) },
    })
    await report('success', 'A', { ...friend, goal_complete: '1' })
    await atRest(inbox)
    expect(told.map(({ event }) => event)).toEqual(['success'])
    expect(errors).toEqual([new TypeError('confirm named another order than before for the same claim.')])
  })

  test('a reservation outlives prune and erase', async () => {
    const shop = new Shop()
    const { report, told, inbox, webhook } = await open({ confirm: shop.naive })
    for (const order of ['1', '2']) {
      shop.pay(order)
      await report('success', order, thief)
    }
    await settled(inbox)
    await new Promise((resolve) => setTimeout(resolve, 2))
    await inbox.erase({ email: thief.referee_email })
    await inbox.prune({ olderThanDays: 0 })
    for (const order of ['01', '02']) await report('success', order, friend)
    await settled(inbox)
    expect(told.map(({ orderId }) => orderId)).toEqual(['1', '2'])
    expect(await webhook.inbox.list({ state: 'refused' })).toHaveLength(2)
  })

  test('get shows all claims to the order, which one has it, and the history of all of them', async () => {
    const shop = new Shop()
    const { report, inbox, retry } = await open({ confirm: shop.bound })
    await report('success', 'A', { ...thief, purchaseValue: '9' })
    shop.pay('A')
    const { id } = await report('success', 'A', { ...friend, purchaseValue: '5' })
    await retry()
    const entry = await inbox.get(`${id}:success`)
    expect(entry?.takenBy).toBeUndefined()
    expect(entry?.claims).toEqual([
      {
        id: expect.stringMatching(/^[0-9a-f]{40}$/) as string,
        status: 'success',
        hasOrder: false,
        referrerEmail: 'thief@example.com',
        refereeEmail: 'thief.too@example.com',
        purchaseValue: 9,
      },
      {
        id,
        status: 'success',
        hasOrder: true,
        referrerEmail: 'ann@example.com',
        refereeEmail: 'bob@example.com',
        purchaseValue: 5,
      },
    ])
    const [other] = entry?.claims ?? []
    expect((await inbox.get(`${other?.id ?? ''}:success`))?.takenBy).toBe(id)
    const ids = new Set(entry?.history.map((each) => each.id?.split(':')[0]))
    expect(ids).toEqual(new Set([id, other?.id]))
  })

  test('of more than a hundred claims get shows the oldest, starting with the first, and the one that has the order', async () => {
    const names = Array.from({ length: 104 }, (_each, index) => `${String((index * 37) % 104)}@example.com`)
    const { report, inbox } = await open({
      on: ['onSuccess'],
      confirm: ({ referee }) => (referee.email === names[103] ? true : 'hold'),
    })
    for (const referee_email of names) await report('success', 'A', { ...friend, referee_email })
    const [newest] = await eventually(
      () => inbox.list({ state: 'done' }),
      ({ length }) => length === 1,
    )
    const entry = await inbox.get(newest?.id ?? '')
    expect(entry?.claims.map(({ refereeEmail }) => refereeEmail)).toEqual([...names.slice(0, 99), names[103]])
    expect(entry?.claims.filter(({ hasOrder }) => hasOrder)).toEqual([entry?.claims[99]])
    const [other] = await inbox.list({ email: names[101] ?? '' })
    const seen = await inbox.get(other?.id ?? '')
    expect(seen?.claims.map(({ refereeEmail }) => refereeEmail)).toEqual([
      ...names.slice(0, 98),
      names[101],
      names[103],
    ])
  })

  if (!kind.isDurable) return

  test('a waiting delivery is refused without confirm, too, after a person has moved the order of its number in the shop', async () => {
    const shop = new Shop()
    shop.pay('7')
    const storage = await newStorage()
    const one = await open({
      storage,
      confirm: shop.naive,
      handle: ({ event }) => {
        if (event === 'goalComplete') throw new Error('not now')
      },
    })
    const lost = await one.report('success', '07', { ...thief, goal_complete: '1' })
    await eventually(
      () => one.inbox.get(`${lost.id}:success`),
      (row) => row?.state === 'done',
    )
    const won = await one.report('success', '007', friend)
    const refused = `${won.id}:success`
    await eventually(
      () => one.inbox.get(refused),
      (row) => row?.state === 'refused',
    )
    await one.inbox.replay(refused)
    await eventually(
      () => one.inbox.get(refused),
      (row) => row?.state === 'done',
    )
    await one.webhook.close()

    const two = await open({ storage })
    await settled(two.inbox)
    expect(two.told).toEqual([])
    expect(await two.inbox.get(`${lost.id}:goalComplete`)).toMatchObject({ state: 'refused', takenBy: won.id })
  })

  test('an order does not move while a delivery runs of the claim that has it only by its number in the shop', async () => {
    const gate = deferred()
    const shop = new Shop()
    shop.pay('7')
    const storage = await newStorage()
    let isRunning = false
    const { report, inbox, toldTimes } = await open({
      storage,
      confirm: shop.naive,
      handle: ({ event }) => {
        if (event !== 'goalComplete') return
        if (!isRunning) throw new Error('not now')
        return gate.promise
      },
    })
    const first = await report('success', '07', thief)
    await settled(inbox) // spelt otherwise the two are delivered side by side
    const second = await report('success', '007', friend)
    const [one, two] = [`${first.id}:success`, `${second.id}:success`]
    await settled(inbox)
    expect((await inbox.get(two))?.state).toBe('refused')
    await inbox.replay(two)
    await settled(inbox)
    await report('success', '07', { ...thief, goal_complete: '1' })
    await settled(inbox)
    expect((await inbox.get(`${first.id}:goalComplete`))?.state).toBe('refused')
    isRunning = true
    await report('success', '007', { ...friend, goal_complete: '1' })
    await toldTimes(3)
    await expect(inbox.replay(`${first.id}:goalComplete`)).rejects.toMatchObject({
      code: 'ERR_CONVERSION_REPLAY_IMPOSSIBLE',
    })
    gate.resolve()
    await settled(inbox)
    expect((await inbox.get(one))?.state).toBe('done')
  })

  test('two processes that deliver rivals of one order at once pay one of them', async () => {
    const storage = await newStorage()
    const shop = new Shop()
    const pay = async (_told: unknown, context: ConversionContext) => {
      await storage.effect?.(context, 'paid')
    }
    const one = await open({ storage, confirm: shop.naive, handle: pay, on: ['onSuccess'] })
    const two = await open({ storage, confirm: shop.naive, handle: pay, on: ['onSuccess'] })
    const orders = Array.from({ length: 10 }, (_each, index) => String(100 + index))
    for (const order of orders) shop.pay(order)
    await Promise.all(
      orders.flatMap((order) => [
        one.report('success', order, thief),
        two.report('success', order, friend),
        two.report('success', `0${order}`, somebody(order)),
      ]),
    )
    await settled(one.inbox)
    expect(await storage.effects?.('paid')).toBe(orders.length)
    for (const order of orders) {
      const rows = [...(await one.inbox.list({ orderId: order })), ...(await one.inbox.list({ orderId: `0${order}` }))]
      expect(rows.filter(({ kind: of, state }) => of === 'delivery' && state === 'done')).toHaveLength(1)
    }
  })
}

/** Other people for each order. */
function somebody(order: string) {
  return { referrer_email: undefined, referee_email: `${order}@example.com` }
}

/** Resolves when no delivery runs, and confirm has been asked for every waiting one. */
function atRest(inbox: Inbox) {
  return eventually(
    async () => [await inbox.list({ state: 'waiting', limit: 1_000 }), await inbox.stats()] as const,
    ([rows, { deliveries }]) => deliveries.running === 0 && rows.every(({ lastError }) => lastError !== undefined),
  )
}
