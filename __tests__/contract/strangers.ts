import type { ConflictingCallback } from '../../lib/index.js'
import { eventually, settled, workbench, type Kind } from './inboxes.js'

const friend = { referrer_email: 'ann@example.com', referee_email: 'bob@example.com' }
const others: readonly (readonly [string, Record<string, string | undefined>])[] = [
  ['leaves both addresses out', { referrer_email: undefined, referee_email: undefined }],
  ['leaves the referrer out', { ...friend, referrer_email: undefined }],
  ['leaves the referee out', { ...friend, referee_email: undefined }],
]

const isHeld = (error: { code: string } | undefined) => error?.code === 'ERR_CONVERSION_DELIVERY_HELD'

/** Callbacks that state other addresses than a claim, more or fewer: they take nothing back from it, and bring it no goal. */
export function describeStrangers(kind: Kind): void {
  const { start } = workbench(kind)

  async function open(options: Parameters<typeof start>[0] = {}) {
    const conflicts: ConflictingCallback[] = []
    const started = await start({ observers: { onConflict: (each) => void conflicts.push(each) }, ...options })
    const report: typeof started.report = async (...said) => {
      // A delivery that confirm holds in memory is answered with 503.
      const answer = await started.report(...said).catch(() => ({ outcome: 'accepted' as const, id: '' }))
      await eventually(
        () => started.inbox.list(),
        (rows) =>
          rows.every(({ state, lastError }) => state !== 'running' && (state !== 'waiting' || isHeld(lastError))),
      )
      return answer
    }
    const ids = () => started.told.map(({ id }) => id.slice(id.lastIndexOf(':') + 1))
    return { ...started, report, ids, conflicts }
  }

  test('rivals with the longest addresses are recorded, and found again', async () => {
    // Characters of four bytes in no order, so that no database can compress them; and some that NFC makes three of.
    const address = (seed: number, first: number, count: number): string => {
      const text = Array.from({ length: 319 }, (_, at) =>
        String.fromCodePoint(first + ((seed * 7_919 + at * at * 104_729 + at * 31) % count)),
      )
      return [...text.slice(0, 200), '@', ...text.slice(200)].join('')
    }
    const { report } = await open({ confirm: () => false })
    await report('success', 'A', friend)
    for (const [first, count] of [
      [0x20000, 0xa000],
      [0x1d15e, 7],
    ] as const) {
      const rival = { referrer_email: address(1, first, count), referee_email: address(2, first, count) }
      for (const outcome of ['accepted', 'duplicate']) {
        expect((await report('success', 'A', rival)).outcome).toBe(outcome)
      }
    }
  })

  test.each(others)('a fail that %s takes no reward back, unless a person replays it', async (_how, people) => {
    const { report, ids, inbox, conflicts, told } = await open({ confirm: () => true })
    const { id } = await report('success', 'A', friend)
    const conflict = await report('fail', 'A', people)
    expect(conflict.outcome).toBe('conflict')
    expect(ids()).toEqual(['success'])
    expect(conflicts.map(({ differs }) => differs.map(({ parameter }) => parameter))).toEqual([
      ['referrer_email', 'referee_email'].filter((parameter) => people[parameter] === undefined),
    ])
    await inbox.replay(conflict.id)
    await settled(inbox)
    expect(told.at(-1)).toMatchObject({ id: `${id}:reversal`, previous: { status: 'success' } })
    expect(await inbox.get(conflict.id)).toMatchObject({ state: 'done', takenBy: id })
    await expect(inbox.replay(conflict.id)).rejects.toMatchObject({ code: 'ERR_CONVERSION_REPLAY_IMPOSSIBLE' })
  })

  test.each(others)('a fail that %s withdraws no held delivery, unless a person replays it', async (_how, people) => {
    const { report, ids, inbox } = await open({ confirm: () => 'hold' })
    await report('success', 'A', friend)
    const conflict = await report('fail', 'A', people)
    expect(conflict.outcome).toBe('conflict')
    const [held] = await inbox.list({ state: 'waiting' })
    expect(held).toMatchObject({ event: 'success', state: 'waiting' })
    await inbox.replay(conflict.id)
    await eventually(
      () => inbox.get(held?.id ?? ''),
      (entry) => entry?.state === 'withdrawn',
    )
    await settled(inbox)
    expect(ids()).toEqual(['fail'])
  })

  test.each(others)('a success that %s brings no goal, unless a person replays it', async (_how, people) => {
    const { report, ids, inbox } = await open({ confirm: () => true })
    await report('success', 'A', friend)
    expect(await report('success', 'A', people)).toMatchObject({ outcome: 'duplicate' })
    const conflict = await report('success', 'A', { ...people, goal_complete: '1' })
    expect(conflict.outcome).toBe('conflict')
    expect(ids()).toEqual(['success'])
    await inbox.replay(conflict.id)
    await settled(inbox)
    expect(ids()).toEqual(['success', 'goalComplete'])
  })

  test('a success that leaves addresses out sets no amount for the claim that has the order', async () => {
    const { report } = await open({ confirm: () => true })
    const { id } = await report('success', 'A', { ...friend, purchaseValue: undefined })
    const blank = { referrer_email: undefined, referee_email: undefined, purchaseValue: '1' }
    expect(await report('success', 'A', blank)).toEqual({ outcome: 'duplicate', id })
    expect(await report('success', 'A', { ...friend, purchaseValue: '50' })).toEqual({ outcome: 'duplicate', id })
    expect(await report('success', 'A', { ...friend, purchaseValue: '60' })).toMatchObject({ outcome: 'conflict' })
  })

  test('after erase only a fail of exactly its people takes a reward back, unless a person replays another fail', async () => {
    const { report, ids, inbox, conflicts } = await open({ confirm: () => true })
    const { id } = await report('success', 'A', friend)
    await inbox.erase({ email: friend.referrer_email })
    const blank = { referrer_email: undefined, referee_email: undefined }
    const thief = { referrer_email: 'thief@example.com', referee_email: 'thief@example.com' }
    const tries = [await report('fail', 'A', blank), await report('fail', 'A', thief)]
    expect(tries.map(({ outcome }) => outcome)).toEqual(['conflict', 'conflict'])
    expect(conflicts).toHaveLength(2)
    expect(ids()).toEqual(['success'])
    expect(await report('fail', 'A', friend)).toEqual({ outcome: 'accepted', id })
    expect(ids()).toEqual(['success', 'reversal'])
  })

  test('a pending that comes after a success without addresses keeps its goal for its own success', async () => {
    const { report, told } = await open({ confirm: ({ referee }) => referee.email === friend.referee_email })
    await report('success', 'A', { referrer_email: undefined, referee_email: undefined })
    const { id } = await report('pending', 'A', { ...friend, goal_complete: '1' })
    await report('success', 'A', friend)
    expect(told.filter((each) => each.id.startsWith(id)).map(({ event }) => event)).toEqual([
      'pending',
      'success',
      'goalComplete',
    ])
  })

  const thief = { ...friend, referrer_email: 'thief@example.com' }
  const buyer = { ...friend, referrer_email: undefined }
  const isAnn = {
    confirm: ({ referrer }: { referrer: { email?: string } }) => referrer.email === friend.referrer_email,
  }

  test('a fail that is replayed for a rival takes nothing from the claim that has got the order since', async () => {
    const { report, ids, inbox } = await open(isAnn)
    const rival = await report('success', 'A', thief)
    const planted = await report('fail', 'A', buyer)
    expect(await inbox.get(planted.id)).toMatchObject({ agreesWith: rival.id })
    await report('success', 'A', friend)
    await inbox.replay(planted.id)
    await settled(inbox)
    expect(ids()).toEqual(['success', 'fail'])
    expect(await inbox.get(`${rival.id}:fail`)).toMatchObject({ state: 'done' })
  })

  test('a fail that could be of several claims takes nothing from the one that has got the order since', async () => {
    const { report, ids, inbox } = await open(isAnn)
    await report('success', 'A', thief)
    await report('success', 'A', { ...thief, referrer_email: 'another.thief@example.com' })
    const planted = await report('fail', 'A', buyer)
    expect(await inbox.get(planted.id)).not.toHaveProperty('agreesWith')
    await report('success', 'A', friend)
    await inbox.replay(planted.id)
    await settled(inbox)
    expect(ids()).toEqual(['success', 'fail'])
    expect(await inbox.get(`${planted.id}:fail`)).toMatchObject({ state: 'done' })
  })

  test('the same fail is another conflict with another claim, also after the first conflict was replayed', async () => {
    const { report, ids, inbox } = await open(isAnn)
    await report('success', 'A', thief)
    const first = await report('fail', 'A', buyer)
    await inbox.replay(first.id)
    await settled(inbox)
    const { id } = await report('success', 'A', friend)
    const second = await report('fail', 'A', buyer)
    expect((await inbox.list({ state: 'conflict' })).map((row) => [row.id, row.agreesWith])).toEqual([[second.id, id]])
    await inbox.replay(second.id)
    await settled(inbox)
    expect(ids()).toEqual(['fail', 'success', 'reversal'])
  })

  test('a replayed goal that its claim has got since is a duplicate, and is not paid again', async () => {
    const { report, ids, inbox } = await open({ confirm: () => true })
    const { id } = await report('success', 'A', friend)
    const conflict = await report('success', 'A', { ...buyer, goal_complete: '1' })
    await report('success', 'A', { ...friend, goal_complete: '1' })
    await inbox.replay(conflict.id)
    await settled(inbox)
    expect(ids()).toEqual(['success', 'goalComplete'])
    expect((await inbox.get(conflict.id))?.claims).toMatchObject([{ id, hasOrder: true }])
  })

  test('a conflict is not recorded for a claim that it contradicts by now', async () => {
    const { report, ids, inbox } = await open({ confirm: () => true })
    await report('success', 'A', { ...friend, purchaseValue: undefined })
    const conflict = await report('success', 'A', { ...buyer, purchaseValue: '1', goal_complete: '1' })
    await report('success', 'A', { ...friend, purchaseValue: '50' })
    await expect(inbox.replay(conflict.id)).rejects.toMatchObject({ code: 'ERR_CONVERSION_REPLAY_IMPOSSIBLE' })
    expect(ids()).toEqual(['success'])
  })

  test("after erase the fail of a replayed conflict's people is a conflict with that claim, not with an unpaid rival", async () => {
    const { report, ids, inbox } = await open({ confirm: ({ purchaseValue }) => purchaseValue === 12 })
    await report('success', 'A', { ...friend, purchaseValue: '10' })
    const { id } = await report('success', 'A', { ...friend, purchaseValue: '12' })
    await inbox.replay(id)
    await settled(inbox)
    await inbox.erase({ email: friend.referrer_email })
    const fail = await report('fail', 'A', friend)
    expect(fail.outcome).toBe('conflict')
    expect(await inbox.get(fail.id)).toMatchObject({ agreesWith: id })
    await inbox.replay(fail.id)
    await settled(inbox)
    expect(ids()).toEqual(['success', 'reversal'])
  })

  test('people who leave an address out can claim an order each time their former claim was completed and erased', async () => {
    const { report, inbox } = await open({ confirm: () => false })
    await report('pending', 'A', thief)
    const half = { referrer_email: undefined, referee_email: 'carl@example.com' }
    const claims = new Set<string>()
    for (const referrer_email of ['x@example.com', 'y@example.com', 'z@example.com', 'w@example.com']) {
      const { id } = await report('pending', 'A', half)
      expect(await report('success', 'A', { ...half, referrer_email })).toEqual({ outcome: 'accepted', id })
      claims.add(id)
      await inbox.erase({ email: referrer_email })
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
    expect(claims.size).toBe(4)
  })
}
