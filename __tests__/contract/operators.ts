import { eventually, settled, workbench, type Kind } from './inboxes.js'
import { sampleParams } from '../../lib/testing.js'

/** What people do with an inbox: the same on all of them. */
export function describeOperators(kind: Kind): void {
  const { start, newStorage } = workbench(kind)

  test('list returns deliveries and quarantined callbacks, newest first, by every filter and in pages', async () => {
    const { report, webhook, inbox } = await start({ scope: 'spring' })
    await report('success', 'A')
    await settled(inbox)
    await report('success', 'A', { purchaseValue: '7' })
    await webhook.accept('conversion=success&orderID=B&purchaseValue=0x10&referee_email=Q@X.example')
    await report('pending', 'C', { referrer_email: 'Other@x.example' })
    await settled(inbox)
    const kinds = async (query: Parameters<typeof inbox.list>[0]) => (await inbox.list(query)).map(({ kind: is }) => is)
    const all = await inbox.list()
    expect(all.map(({ kind: is, state, event }) => [is, state, event]).sort()).toEqual([
      ['conflict', 'conflict', undefined],
      ['delivery', 'done', 'pending'],
      ['delivery', 'done', 'success'],
      ['refused', 'refused', undefined],
    ])
    const times = all.map(({ receivedAt }) => receivedAt.getTime())
    expect(times).toEqual([...times].sort((a, b) => b - a))
    expect(await kinds({ state: 'done' })).toEqual(['delivery', 'delivery'])
    expect(await kinds({ state: 'refused' })).toEqual(['refused'])
    expect(await kinds({ state: 'conflict' })).toEqual(['conflict'])
    expect(await kinds({ state: 'dead' })).toEqual([])
    expect((await kinds({ orderId: ' A ' })).sort()).toEqual(['conflict', 'delivery'])
    expect(await kinds({ orderId: 'B' })).toEqual(['refused'])
    expect(await kinds({ orderId: 'a' })).toEqual([])
    expect(await kinds({ email: 'OTHER@X.example' })).toEqual(['delivery'])
    expect(await kinds({ email: 'q@x.example' })).toEqual(['refused'])
    expect(await kinds({ scope: 'spring' })).toHaveLength(4)
    expect(await kinds({ scope: 'autumn' })).toEqual([])
    const pages = []
    for (let before: string | undefined; ;) {
      const page = await inbox.list({ limit: 1, before })
      if (page.length === 0) break
      pages.push(...page)
      before = page[0]?.id
    }
    expect(pages.map(({ id }) => id)).toEqual(all.map(({ id }) => id))
  })

  test('stats count what each day brought, by status', async () => {
    const { report, inbox } = await start()
    await report('success', 'A', { goal_complete: '1' })
    await report('success', 'A', { goal_complete: '1' })
    await report('pending', 'B')
    await settled(inbox)
    await report('fail', 'A')
    await settled(inbox)
    const { perDay } = await inbox.stats({ days: 3 })
    const today = Date.now()
    const dayOf = (ago: number) => new Date(today - ago * 86_400_000).toISOString().slice(0, 10)
    const none = { success: 0, fail: 0, pending: 0 }
    expect(perDay).toEqual([
      { day: dayOf(2), ...none },
      { day: dayOf(1), ...none },
      { day: dayOf(0), success: 1, fail: 1, pending: 1 },
    ])
    expect(await inbox.stats()).not.toHaveProperty('perDay')
  })

  test.each([0, 367, 1.5, Number.NaN, '7'])(
    'stats refuses %p days with an error that names the limits',
    async (days) => {
      const { inbox } = await start()
      await expect(inbox.stats({ days: days as number })).rejects.toMatchObject({
        code: 'ERR_CONVERSION_QUERY_INVALID',
        message: 'Invalid query: days must be a whole number from 1 to 366.',
      })
    },
  )

  test('a row shows everything about its delivery', async () => {
    const { report, inbox } = await start({ parseCustomValue: (text) => text })
    const { id } = await report('success', 'A')
    await settled(inbox)
    const [row] = await inbox.list()
    expect(row).toMatchObject({
      id: `${id}:success`,
      kind: 'delivery',
      state: 'done',
      event: 'success',
      scope: '',
      conversion: { status: 'success', orderId: 'A', referrer: { name: 'Robert Downy' } },
      params: { orderID: 'A', conversion: 'success' },
      attempts: 1,
    })
    expect(row).not.toHaveProperty('lastError')
    expect(row).not.toHaveProperty('nextAttemptAt')
  })

  test.each([
    [{ state: 'gone' }, 'state'],
    [{ limit: 0 }, 'limit'],
    [{ limit: 1_001 }, 'limit'],
    [{ limit: 1.5 }, 'limit'],
    [{ orderId: 7 }, 'orderId'],
    [{ email: {} }, 'email'],
  ])('list refuses %j', async (query, name) => {
    const { inbox } = await start()
    const error = await inbox.list(query as never).catch((caught: unknown) => caught)
    expect(error).toMatchObject({
      code: 'ERR_CONVERSION_QUERY_INVALID',
      message: expect.stringContaining(name) as string,
    })
  })

  test('an unknown id cannot be found, paged from or replayed', async () => {
    const { inbox } = await start()
    const unknown = { code: 'ERR_CONVERSION_RECORD_UNKNOWN' }
    for (const id of ['nobody', 'nobody:success', 'nobody:conflict:1']) {
      expect(await inbox.get(id)).toBeUndefined()
      await expect(inbox.list({ before: id })).rejects.toMatchObject(unknown)
      await expect(inbox.replay(id)).rejects.toMatchObject(unknown)
    }
  })

  test('an id must be a string without NUL', async () => {
    const { inbox } = await start()
    const invalid = { code: 'ERR_CONVERSION_QUERY_INVALID' }
    for (const id of [undefined, 5, ['nobody'], {}, 'a\0b', 'a\0:success'] as unknown as string[]) {
      await expect(inbox.get(id)).rejects.toMatchObject(invalid)
      await expect(inbox.replay(id)).rejects.toMatchObject(invalid)
    }
    await expect(inbox.list({ before: 'a\0' })).rejects.toMatchObject(invalid)
  })

  test('strings that databases cannot store are recorded, refused or not found alike on every inbox', async () => {
    const { report, webhook, inbox } = await start()
    for (const odd of ['a\0b', '\0', 'a\ud800b', '\ud800']) {
      expect(await report('success', odd)).toMatchObject({ outcome: 'refused' })
      const extra = { ...sampleParams({ orderID: `with ${encodeURI(odd.replace('\ud800', 's'))}` }), [odd]: odd }
      expect(await webhook.accept(extra)).toMatchObject({ outcome: 'accepted' })
      expect((await inbox.list({ orderId: odd })).map(({ state }) => state)).toEqual(['refused'])
      expect(await inbox.list({ email: `${odd}@x.example` })).toEqual([])
      expect(await inbox.list({ scope: odd })).toEqual([])
      expect(await inbox.erase({ email: `${odd}@x.example` })).toEqual({ erased: 0, waiting: [] })
    }
    await expect(webhook.accept(sampleParams(), { scope: 'a\0b' })).rejects.toMatchObject({
      code: 'ERR_CONVERSION_OPTION_INVALID',
    })
  })

  test('get shows everything that happened to an identity, in order', async () => {
    const { report, inbox } = await start()
    const { id } = await report('pending', 'A')
    await settled(inbox)
    await report('success', 'A')
    await settled(inbox)
    await report('success', 'A')
    await report('success', 'A', { purchaseValue: '7' })
    const entry = await inbox.get(`${id}:success`)
    expect(entry).toMatchObject({ state: 'done', event: 'success' })
    const summary = entry?.history.map(({ what, event, count }) => [what, event ?? count ?? ''].join(' ').trim())
    expect(summary?.sort()).toEqual(
      ['conflict', 'done pending', 'done success', 'duplicate 1', 'recorded pending', 'recorded success'].sort(),
    )
    const times = entry?.history.map(({ at }) => at.getTime()) ?? []
    expect(times).toEqual([...times].sort((a, b) => a - b))
  })

  test('a conflict is replayed once, under an id of its own, and changes nothing else', async () => {
    const { report, told, inbox, toldTimes } = await start()
    const { id } = await report('success', 'A')
    await settled(inbox)
    await report('success', 'A', { purchaseValue: '7' })
    const [conflict] = await inbox.list({ state: 'conflict' })
    expect(conflict).toMatchObject({
      kind: 'conflict',
      params: { purchaseValue: '7' },
      differs: [{ parameter: 'purchaseValue', recorded: '1000', received: '7' }],
    })
    const conflictId = conflict?.id ?? ''
    await inbox.replay(conflictId)
    await toldTimes(2)
    await settled(inbox)
    expect(told.map((each) => each.id)).toEqual([`${id}:success`, `${conflictId}:success`])
    await expect(inbox.replay(conflictId)).rejects.toMatchObject({ code: 'ERR_CONVERSION_REPLAY_IMPOSSIBLE' })
    expect(await report('success', 'A', { purchaseValue: '7' })).toMatchObject({ outcome: 'conflict' })
    expect(await report('success', 'A')).toEqual({ outcome: 'duplicate', id })
    expect((await inbox.get(conflictId))?.state).toBe('done')
    expect(told).toHaveLength(2)
  })

  test('a refused callback is parsed, checked and recorded anew by a replay, with the current options', async () => {
    let isKnown = false
    const parseCustomValue = (text: string): string => {
      if (!isKnown) throw new Error('not yet')
      return text
    }
    const { report, told, inbox, toldTimes } = await start({ parseCustomValue })
    const { id } = await report('success', 'A')
    expect(await inbox.get(id)).toMatchObject({
      kind: 'refused',
      state: 'refused',
      code: 'ERR_CONVERSION_CALLBACK_REFUSED',
      issues: [{ parameter: 'referrer_customValue', rule: 'customValue' }],
      params: { orderID: 'A', referrer_customValue: 'xxxxxxx' },
    })
    await inbox.replay(id)
    const again = await eventually(
      () => inbox.get(id),
      (entry) => entry?.state === 'refused',
    )
    expect(again?.history.map(({ what }) => what)).toEqual(['refused', 'replayed', 'refused'])
    isKnown = true
    await inbox.replay(id)
    await toldTimes(1)
    await settled(inbox)
    expect(told.map(({ event, orderId }) => [event, orderId])).toEqual([['success', 'A']])
    const entry = await inbox.get(id)
    expect(entry?.state).toBe('done')
    expect(entry?.history.map(({ what }) => what)).toEqual(expect.arrayContaining(['replayed', 'recorded', 'done']))
    await expect(inbox.replay(id)).rejects.toMatchObject({ code: 'ERR_CONVERSION_REPLAY_IMPOSSIBLE' })
    expect(await report('success', 'A')).toMatchObject({ outcome: 'duplicate' })
  })

  test('a replayed refused callback that contradicts what is recorded becomes a conflict', async () => {
    let isKnown = false
    const parseCustomValue = (text: string): string => {
      if (!isKnown) throw new Error('not yet')
      return text
    }
    const conflicts: unknown[] = []
    const onConflict = (conflict: object) => conflicts.push(conflict)
    const { report, told, inbox } = await start({ parseCustomValue, observers: { onConflict } })
    const { id } = await report('success', 'A', { referrer_customValue: undefined })
    await settled(inbox)
    const refused = await report('success', 'A', { purchaseValue: '7' })
    isKnown = true
    await inbox.replay(refused.id)
    const [conflict] = await eventually(
      () => inbox.list({ state: 'conflict' }),
      ({ length }) => length > 0,
    )
    expect(conflict).toMatchObject({
      kind: 'conflict',
      params: { purchaseValue: '7' },
      differs: [{ parameter: 'purchaseValue', recorded: '1000', received: '7' }],
    })
    await eventually(
      () => Promise.resolve(conflicts),
      ({ length }) => length > 0,
    )
    expect(conflicts).toMatchObject([
      {
        id: conflict?.id,
        conversion: { purchaseValue: 7 },
        recorded: { status: 'success', goalComplete: false },
        differs: [{ parameter: 'purchaseValue', recorded: '1000', received: '7' }],
      },
    ])
    expect((await inbox.get(refused.id))?.state).toBe('done')
    expect((await inbox.get(`${id}:success`))?.history.map(({ what }) => what)).toContain('conflict')
    expect((await inbox.stats()).callbacks).toMatchObject({ accepted: 1, conflict: 1, refused: 1 })
    expect(told).toHaveLength(1)
  })

  test('a value that is no string does not become one by a replay with other fields', async () => {
    const storage = await newStorage()
    const first = await start({ storage })
    const ids: string[] = []
    for (const order of [{ a: 1 }, [1], 1e20, 1.5, true]) {
      const input = { conversion: 'success', order_no: order, amount: 1.5, done: 1 }
      ids.push((await first.webhook.accept(input)).id)
    }
    const good = await first.webhook.accept({ conversion: 'success', order_no: 17, amount: 1.5 })
    await first.webhook.close()
    if (!kind.isDurable) return
    const { inbox } = await start({
      storage,
      fields: { orderID: 'order_no', purchaseValue: 'amount', goal_complete: 'done' },
    })
    for (const id of [...ids, good.id]) await inbox.replay(id)
    await eventually(
      () => inbox.get(good.id),
      (entry) => entry?.state === 'done',
    )
    for (const id of ids) {
      const entry = await eventually(
        () => inbox.get(id),
        (found) => found?.state === 'refused',
      )
      expect(entry?.issues).toEqual([expect.objectContaining({ parameter: 'orderID', rule: 'type' })])
    }
    const row = (await inbox.list({ orderId: '17' })).find(({ kind: of }) => of === 'delivery')
    expect(row?.conversion).toMatchObject({ orderId: '17', purchaseValue: 1.5 })
  })

  test('a delivery that confirm refused is retried by a replay, under the same id; a done delivery is not', async () => {
    let isPaid = false
    const { report, told, inbox, toldTimes } = await start({ confirm: () => isPaid })
    const { id } = await report('success', 'A')
    await settled(inbox)
    isPaid = true
    await inbox.replay(`${id}:success`)
    await toldTimes(1)
    await settled(inbox)
    expect(told.map((each) => each.id)).toEqual([`${id}:success`])
    await expect(inbox.replay(`${id}:success`)).rejects.toMatchObject({
      code: 'ERR_CONVERSION_REPLAY_IMPOSSIBLE',
      message: 'This cannot be replayed: the delivery is done.',
    })
    await expect(inbox.replay(`${id}:goalComplete`)).rejects.toMatchObject({ code: 'ERR_CONVERSION_RECORD_UNKNOWN' })
  })

  test('a pruned delivery is not replayed', async () => {
    const { report, inbox } = await start({ confirm: () => false })
    const { id } = await report('success', 'A')
    await settled(inbox)
    await new Promise((resolve) => setTimeout(resolve, 2))
    await inbox.prune({ olderThanDays: 0 })
    await expect(inbox.replay(`${id}:success`)).rejects.toMatchObject({
      code: 'ERR_CONVERSION_REPLAY_IMPOSSIBLE',
      message: 'This cannot be replayed: its payload was pruned or erased.',
    })
  })

  test('prune drops the payload of settled conversions; repeats stay duplicates, contradictions are not detected', async () => {
    const { report, told, inbox, webhook } = await start()
    const { id } = await report('success', 'A')
    await settled(inbox)
    await webhook.accept('conversion=nonsense')
    expect(await inbox.prune({ olderThanDays: 1 })).toEqual({ pruned: 0 })
    await new Promise((resolve) => setTimeout(resolve, 2)) // "older than" is strict
    expect(await inbox.prune({ olderThanDays: 0 })).toEqual({ pruned: 1 })
    expect(await inbox.prune({ olderThanDays: 0 })).toEqual({ pruned: 0 })
    const rows = await inbox.list()
    expect(rows).toMatchObject([{ id: `${id}:success`, state: 'done', params: {} }])
    expect(rows[0]).not.toHaveProperty('conversion')
    expect(await inbox.list({ orderId: 'A' })).toEqual([])
    expect(await report('success', 'A')).toMatchObject({ outcome: 'duplicate' })
    expect(await report('success', 'A', { purchaseValue: '7' })).toMatchObject({ outcome: 'duplicate' })
    expect(told).toHaveLength(1)
    await expect(inbox.prune({ olderThanDays: -1 })).rejects.toMatchObject({ code: 'ERR_CONVERSION_QUERY_INVALID' })
  })

  test('prune and erase go through more than they read at a time', async () => {
    const { report, webhook, inbox } = await start({ concurrency: 100 })
    const orders = Array.from({ length: 1_100 }, (_each, index) => `order ${String(index)}`)
    await Promise.all(
      orders.map((order, index) => report('success', order, { referrer_email: `p${String(index % 2)}@x.example` })),
    )
    for (let refused = 0; refused < 250; refused++)
      await webhook.accept(`conversion=nonsense&orderID=${String(refused)}`)
    await settled(inbox)
    expect(await inbox.list({ state: 'refused', orderId: '3' })).toHaveLength(1)
    expect(await inbox.erase({ email: 'p1@x.example' })).toEqual({ erased: 550, waiting: [] })
    await new Promise((resolve) => setTimeout(resolve, 2))
    expect(await inbox.prune({ olderThanDays: 0 })).toEqual({ pruned: 550 })
    expect(await inbox.list({ state: 'refused' })).toEqual([])
  })

  test('erase drops everything that mentions an address, and nothing else', async () => {
    const { report, inbox, webhook, told } = await start({
      handle: ({ orderId }) => {
        if (orderId === 'fails') throw new Error('no account of anna@shop.example here')
      },
    })
    const anna = 'anna@shop.example'
    await report('success', 'A', { referrer_email: 'Anna@Shop.Example' })
    await report('success', anna)
    await report('success', 'C', { referrer_customValue: `for ${anna}!` })
    await webhook.accept(`conversion=success&orderID=D&note=${anna}`)
    await report('success', 'E', { referrer_email: `joh${anna}` })
    await report('success', 'F', { referrer_email: `${anna}.org` })
    await webhook.accept(`conversion=nonsense&referee_email=${anna}`)
    await settled(inbox)
    await report('success', 'F', { referrer_email: anna })
    const before = told.length
    expect(await inbox.erase({ email: 'ANNA@shop.example' })).toEqual({ erased: 6, waiting: [] })
    expect(JSON.stringify(await inbox.list())).not.toMatch(/(?<!joh)anna@shop\.example(?!\.org)/i)
    expect((await inbox.list({ email: `joh${anna}` })).length).toBe(1)
    expect((await inbox.list({ email: `${anna}.org` })).length).toBe(1)
    for (const order of ['A', anna, 'C', 'D']) {
      expect(await report('success', order, { referrer_email: 'somebody@else.example' })).toMatchObject({
        outcome: 'duplicate',
      })
    }
    expect(told).toHaveLength(before)
    for (const email of ['anna', undefined as never]) {
      await expect(inbox.erase({ email })).rejects.toMatchObject({ code: 'ERR_CONVERSION_QUERY_INVALID' })
    }
  })

  test('a conversion that still waits is not erased, but reported as waiting', async () => {
    const { report, inbox } = await start({
      handle: () => {
        throw new Error('not now')
      },
    })
    await report('success', 'A').catch(() => undefined)
    const [row] = await eventually(
      () => inbox.list(),
      ([first]) => first?.state === 'waiting' && first.attempts === 1,
    )
    const identity = row?.id.split(':')[0] ?? ''
    expect(await inbox.erase({ email: 'example@gmail.com' })).toEqual({ erased: 0, waiting: [identity] })
    expect(row).toMatchObject({
      attempts: 1,
      lastError: { code: 'ERR_CONVERSION_HANDLER_FAILED', message: 'not now' },
    })
    expect((await inbox.stats()).oldestWaitingMs).toBeGreaterThanOrEqual(0)
  })
}
