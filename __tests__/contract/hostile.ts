import fc from 'fast-check'
import { isConversionWebhookError } from '../../lib/index.js'
import { cases } from '../support/cases.js'
import { params } from '../support/callbacks.js'
import { endlessArrays, hostileFields, hostileValues } from '../support/hostile.js'
import { settled, workbench, type Kind } from './inboxes.js'

/** The result of a call. Throws if the call throws instead of rejecting, or if the error has no code or repeats a part of the argument. */
async function outcomeOf(call: () => unknown): Promise<string> {
  let promise: unknown
  try {
    promise = call()
  } catch (error) {
    return `threw ${String(error)}`
  }
  try {
    await promise
    return 'resolved'
  } catch (error) {
    if (!isConversionWebhookError(error)) return `rejected without a code: ${String(error)}`
    const said = error.message + JSON.stringify(error.issues ?? [])
    const isSaid = said.includes('marker') && error.code !== 'ERR_CONVERSION_OPTION_UNKNOWN' // that message names a misspelt option, which is no personal data
    return isSaid || said.length > 1_000 ? `said too much: ${said.slice(0, 200)}` : error.code
  }
}

const fields = {
  list: ['state', 'orderId', 'email', 'scope', 'limit', 'before'],
  get: [],
  replay: [],
  stats: ['days'],
  prune: ['olderThanDays'],
  erase: ['email'],
} as const

const names = Object.keys(fields) as (keyof typeof fields)[]
const expected = ['resolved', 'ERR_CONVERSION_QUERY_INVALID', 'ERR_CONVERSION_RECORD_UNKNOWN']

/** For any argument operators and `accept` resolve, or reject with a code and without a part of the argument. */
export function describeHostile(kind: Kind): void {
  const { start } = workbench(kind)

  async function recorded() {
    const { inbox, webhook, report } = await start()
    await report('success', 'A')
    await webhook.accept(params({ purchaseValue: 'nonsense' }))
    await settled(inbox)
    const operator = (name: keyof typeof fields) => inbox[name] as (argument: unknown) => Promise<unknown>
    return { inbox, webhook, operator }
  }

  test.each(names)(
    '%s, given anything',
    async (name) => {
      const { operator } = await recorded()
      for (const value of [...hostileValues(), ...endlessArrays(), ...fields[name].flatMap(hostileFields)]) {
        expect(expected).toContain(await outcomeOf(() => operator(name)(value)))
      }
      const anything = fc.anything({ withBigInt: true, withDate: true, withNullPrototype: true, withSparseArray: true })
      const property = fc.asyncProperty(anything, async (value) => {
        expect(expected).toContain(await outcomeOf(() => operator(name)(value)))
      })
      await fc.assert(property, { numRuns: cases(kind.runs ?? 40) })
      expect(await outcomeOf(() => operator('stats')(undefined))).toBe('resolved')
    },
    30_000,
  )

  test.each([
    ['list', { sate: 'dead' }, 'state'],
    ['list', { orderID: 'A' }, 'orderId'],
    ['stats', { day: 1 }, 'days'],
    ['prune', { olderThan: 1 }, 'olderThanDays'],
    ['erase', { emails: [] }, 'email'],
  ] as const)('%s refuses %j, and suggests the right name', async (name, query, near) => {
    const { operator } = await recorded()
    await expect(operator(name)(query)).rejects.toMatchObject({
      code: 'ERR_CONVERSION_QUERY_INVALID',
      message: expect.stringMatching(
        new RegExp(`every name must be one of .*${near}.*the nearest to the unknown one is ${near}\\.$`),
      ) as string,
    })
  })

  test('erase refuses strings that would match everybody, and more than a thousand addresses', async () => {
    const { inbox } = await recorded()
    const texts = ['', '@', 'jane', 'jane@', '@example.com', ' @example.com', 'jane@example.com and others']
    const many = Array.from({ length: 1_001 }, (_each, index) => `jane${String(index)}@example.com`)
    for (const email of [...texts, `${'j'.repeat(640)}@example.com`, [], ['jane@example.com', 'john'], many]) {
      await expect(inbox.erase({ email })).rejects.toMatchObject({
        code: 'ERR_CONVERSION_QUERY_INVALID',
        message: 'Invalid query: email must be an e-mail address, or an array of 1 to 1000 of them.',
      })
    }
    expect(await inbox.erase({ email: many.slice(1) })).toEqual({ erased: 0, waiting: [] })
    expect(await inbox.list({ email: 'example@gmail.com' })).not.toEqual([])
  })

  test('accept, given anything', async () => {
    const { webhook } = await recorded()
    const accept = webhook.accept.bind(webhook) as (input: unknown, options?: unknown) => Promise<unknown>
    for (const [index, value] of [...hostileValues(), ...hostileValues().map((orderID) => ({ orderID }))].entries()) {
      expect([index, await outcomeOf(() => accept(value))]).toEqual([index, 'resolved'])
    }
    const codes = ['resolved', 'ERR_CONVERSION_OPTION_INVALID', 'ERR_CONVERSION_OPTION_UNKNOWN']
    for (const options of [...hostileValues(), ...hostileFields('scope')]) {
      expect(codes).toContain(await outcomeOf(() => accept(params(), options)))
    }
    expect(await outcomeOf(() => accept(params(), { scope: 'spring' }))).toBe('resolved')
  }, 30_000)

  test('a closed inbox rejects with a coded error, or still answers', async () => {
    const { webhook, operator } = await recorded()
    await webhook.close()
    const valid = {
      list: {},
      get: 'A',
      replay: 'A',
      stats: {},
      prune: { olderThanDays: 1 },
      erase: { email: 'a@b.example' },
    }
    for (const name of names) {
      const codes = kind.isDurable ? ['ERR_CONVERSION_INBOX_CLOSED'] : expected
      expect(codes).toContain(await outcomeOf(() => operator(name)(valid[name])))
    }
  })
}
