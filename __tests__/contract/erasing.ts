import fc from 'fast-check'
import { addressFinder } from '../../lib/inbox/operators/addresses.js'
import { cases } from '../support/cases.js'
import { addresses, spellings, surroundings } from '../support/addresses.js'
import { params } from '../support/callbacks.js'
import { eventually, settled, workbench, type Kind } from './inboxes.js'

type Changes = Readonly<Record<string, string>>

/** A place where a callback mentions somebody. Each function makes that part of the callback from the mention. */
interface Mention {
  /** Parameters of the callback. */
  readonly sent?: (text: string) => Changes
  readonly scope?: (text: string) => string
  /** What the handler throws at the first attempt. */
  readonly thrown?: (text: string) => string
  /** Whether the order has an earlier callback, which this one contradicts. */
  readonly contradicts?: true
}

const refused = { purchaseValue: '0x10' }
const conflict = { purchaseValue: '7' }

/** Places of an e-mail address as a whole. */
const emailPlaces: Readonly<Record<string, Mention>> = {
  referrer_email: { sent: (email) => ({ referrer_email: email }) },
  referee_email: { sent: (email) => ({ referee_email: email }) },
  'referrer_email, refused': { sent: (email) => ({ referrer_email: email, ...refused }) },
  'referee_email, refused': { sent: (email) => ({ referee_email: email, ...refused }) },
  'referrer_email, a conflict': { sent: (email) => ({ referrer_email: email, ...conflict }), contradicts: true },
}

const textPlaces: Readonly<Record<string, Mention>> = {
  referrer_name: { sent: (text) => ({ referrer_name: text }) },
  referee_name: { sent: (text) => ({ referee_name: text }) },
  orderID: { sent: (text) => ({ orderID: text }) },
  referrer_customValue: { sent: (text) => ({ referrer_customValue: text }) },
  'an unknown parameter': { sent: (text) => ({ note: text }) },
  'the name of an unknown parameter': { sent: (text) => ({ [text]: 'note' }) },
  'the name of a value that is none, refused': { sent: (text) => ({ [text]: [1] as never, ...refused }) },
  'a parameter, refused': { sent: (text) => ({ referrer_name: text, ...refused }) },
  'an e-mail parameter that is none, refused': { sent: (text) => ({ referee_email: `${text} and others` }) },
  'the name of a parameter, refused': { sent: (text) => ({ [text]: 'note', ...refused }) },
  'a parameter, a conflict': { sent: (text) => ({ referrer_customValue: text, ...conflict }), contradicts: true },
  scope: { scope: (text) => text },
  'scope, refused': { scope: (text) => text, sent: () => refused },
  'scope, a conflict': { scope: (text) => text, sent: () => conflict, contradicts: true },
  'an error of the handler': { thrown: (text) => text },
}

interface Said {
  readonly place: Mention
  readonly spell: (address: string) => string
  readonly surround: (text: string) => string
}

/** Not in e-mail parameters: there, quotation marks make another address, and so does SS instead of ß. */
const { 'in JSON': _json, 'in upper case': _capitals, ...ofWhole } = spellings

const said: fc.Arbitrary<Said> = fc.oneof(
  fc.record({
    place: fc.constantFrom(...Object.values(emailPlaces)),
    spell: fc.constantFrom(...Object.values(ofWhole)),
    surround: fc.constant((text: string) => text),
  }),
  fc.record({
    place: fc.constantFrom(...Object.values(textPlaces)),
    spell: fc.constantFrom(...Object.values(spellings)),
    surround: fc.constantFrom(...Object.values(surroundings)),
  }),
)

/** After `erase` nothing in the storage mentions the person. */
export function describeErasing(kind: Kind): void {
  const { start } = workbench(kind)

  /** A new inbox with callbacks that mention somebody, and two callbacks that do not. */
  async function record(mentions: readonly Said[], address: string) {
    const toThrow = new Map<string, string>()
    const { webhook, inbox, storage, told } = await start({
      maxAttempts: 1,
      handle: ({ orderId = '' }) => {
        const message = toThrow.get(orderId)
        toThrow.delete(orderId)
        if (message !== undefined) throw new Error(message)
      },
    })
    const accept = (changes: Changes, scope = '') =>
      webhook.accept(params({ goal_complete: '0', ...changes }), { scope }).catch(() => undefined)
    await accept({ orderID: 'of somebody else', referrer_email: 'somebody@else.example' })
    await accept({ orderID: 'refused, of somebody else', referrer_email: 'somebody@else.example', ...refused })

    const repeats: (() => ReturnType<typeof accept>)[] = []
    for (const [order, { place, spell, surround }] of mentions.entries()) {
      const text = surround(spell(address))
      const identity = { orderID: `order ${String(order)}` }
      const changes = { ...identity, ...place.sent?.(text) }
      const scope = place.scope?.(text)
      if (place.thrown) toThrow.set(identity.orderID, place.thrown(text))
      if (place.contradicts) await accept(identity, scope)
      const taken = await accept(changes, scope)
      if (taken?.outcome !== 'refused') repeats.push(() => accept({ orderID: changes.orderID }, scope))
    }
    if (kind.isDurable) await settled(inbox) // in memory a failed delivery waits for a repeat
    for (const { id, state } of await inbox.list()) {
      if (state === 'dead' || state === 'waiting') await inbox.replay(id)
    }
    await settled(inbox)

    const isMentioned = addressFinder([address])
    const isThere = async () => {
      const rows = await inbox.list()
      const entries = await Promise.all(rows.map(({ id }) => inbox.get(id)))
      return isMentioned({ emails: [], others: [JSON.stringify([rows, entries]), (await storage.contents?.()) ?? ''] })
    }
    const ofOthers = async () =>
      (await inbox.list()).filter(({ params: { referrer_email } }) => referrer_email === 'somebody@else.example')
    return { webhook, inbox, told, repeats, isThere, ofOthers }
  }

  test('a conflict with the claim of an erased person loses that address, but stays and can be replayed', async () => {
    const { webhook, inbox, told } = await start()
    const report = (referrer_email: string) =>
      webhook.accept(params({ orderID: 'A', referrer_email, goal_complete: '0' }))
    await report('eve@example.com')
    await settled(inbox)
    const { id, outcome } = await report('ann@example.com')
    expect(outcome).toBe('conflict')
    expect(await inbox.erase({ email: 'eve@example.com' })).toEqual({ erased: 1, waiting: [] })
    expect((await inbox.get(id))?.differs).toEqual([{ parameter: 'referrer_email', received: 'ann@example.com' }])
    expect(await inbox.erase({ email: 'eve@example.com' })).toEqual({ erased: 0, waiting: [] })
    await inbox.replay(id)
    await eventually(
      () => Promise.resolve(told),
      ({ length }) => length === 2,
    )
    await settled(inbox)
    expect(told.map((each) => each.id)).toContain(`${id}:success`)
    expect(await inbox.erase({ email: 'ann@example.com' })).toEqual({ erased: 2, waiting: [] })
  })

  test('an erased address is found nowhere, in whatever place and spelling it came, and repeats stay duplicates', async () => {
    const run = async (address: string, mentions: readonly Said[]): Promise<void> => {
      const { webhook, inbox, told, repeats, isThere, ofOthers } = await record(mentions, address)
      expect(await isThere()).toBe(true)
      const { erased, waiting } = await inbox.erase({ email: address })
      expect(waiting).toEqual([])
      expect(erased).toBeGreaterThan(0)
      expect(await isThere()).toBe(false)

      const before = told.length
      for (const repeat of repeats) expect(await repeat()).toMatchObject({ outcome: 'duplicate' })
      expect(told).toHaveLength(before)
      expect(await isThere()).toBe(false)
      expect(await ofOthers()).toHaveLength(2)
      expect(await inbox.erase({ email: address })).toEqual({ erased: 0, waiting: [] })
      await webhook.close()
    }
    const property = fc.asyncProperty(
      fc.constantFrom(...addresses),
      fc.array(said, { minLength: 1, maxLength: 12 }),
      run,
    )
    await fc.assert(property, { numRuns: cases(kind.runs ?? 40) })
  }, 60_000)

  test('erase takes several addresses, and erases each', async () => {
    const { report, inbox } = await start()
    for (const name of ['ann', 'bob', 'cid']) await report('success', name, { referrer_email: `${name}@x.example` })
    await settled(inbox)
    expect(await inbox.erase({ email: ['Bob@x.example', 'cid@X.example', 'nobody@x.example'] })).toEqual({
      erased: 2,
      waiting: [],
    })
    const left = (await inbox.list()).filter(({ params: { referrer_email } }) => referrer_email !== undefined)
    expect(left.map(({ params: { referrer_email } }) => referrer_email)).toEqual(['ann@x.example'])
  })

  test('a scope that holds no address stays; a pruned conversion still loses a scope that holds one', async () => {
    const { webhook, inbox } = await start()
    const of = (orderID: string, scope: string) =>
      webhook.accept(params({ orderID, goal_complete: '0', referrer_email: 'ann@x.example' }), { scope })
    await of('A', 'spring')
    await of('B', 'for/ann%40x.example')
    await settled(inbox)
    await new Promise((resolve) => setTimeout(resolve, 2))
    expect(await inbox.prune({ olderThanDays: 0 })).toEqual({ pruned: 2 })
    expect((await inbox.list()).map(({ scope }) => scope).sort()).toEqual(['for/ann%40x.example', 'spring'])
    await of('C', 'spring')
    await settled(inbox)
    expect(await inbox.erase({ email: 'ann@x.example' })).toEqual({ erased: 2, waiting: [] })
    expect((await inbox.list()).map(({ scope }) => scope).sort()).toEqual(['', 'spring', 'spring'])
    expect(await of('B', 'for/ann%40x.example')).toMatchObject({ outcome: 'duplicate' })
    expect((await inbox.list()).map(({ scope }) => scope).sort()).toEqual(['', 'spring', 'spring'])
  })
}
