import fc from 'fast-check'
import { setImmediate as turn } from 'node:timers/promises'
import { conversionWebhook, type Conversion, type ConversionContext } from '../../lib/index.js'
import { cases } from '../support/cases.js'
import { params } from '../support/callbacks.js'
import { statusIn } from '../support/recorded.js'
import { deferred } from '../support/recorder.js'
import { sequences, type Completed, type Sent } from './model.js'

/* Callbacks about one identity that arrive while handlers run, fail, are held or are slow, in any order that a scheduler could make. */

type Behaviour = 'works' | 'fails' | 'holds' | 'is slow'
type Key = Completed['key']

const behaviour = fc.constantFrom<Behaviour>('works', 'fails', 'holds', 'is slow')
const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ send: fc.constantFrom(...sequences(1).flat()) }) },
  { weight: 2, arbitrary: fc.record({ finish: fc.nat(5), works: fc.boolean() }) },
  { weight: 1, arbitrary: fc.constant('turn' as const) },
)

/** One identity under test: what its handlers have completed, and which handlers run. */
class Shop {
  readonly completed: Key[] = []
  readonly answers: Promise<string>[] = []
  readonly violations: string[] = []
  /** The status that was recorded at the last look. */
  recorded: Sent['status'] | undefined
  #behaviours: readonly Behaviour[]
  readonly #running: { resolve(): void; reject(error: unknown): void }[] = []
  readonly #webhook

  constructor(behaviours: readonly Behaviour[], concurrency: number) {
    this.#behaviours = behaviours
    const handle = (_conversion: Conversion, context: ConversionContext) => this.#handle(context)
    this.#webhook = conversionWebhook(
      {
        onPending: handle,
        onSuccess: handle,
        onGoalComplete: handle,
        onFail: handle,
        onError: () => undefined,
      },
      { secret: false, concurrency, confirm: () => (this.#behaviours[0] === 'holds' ? this.#hold() : true) },
    )
  }

  send({ status, goal }: Sent): Promise<string> {
    const answer = this.#webhook.accept(params({ conversion: status, goal_complete: goal ? '1' : '0' })).then(
      ({ outcome }) => outcome,
      (error: unknown) => (error as { code: string }).code,
    )
    this.answers.push(answer)
    return answer
  }

  finish(index: number, works: boolean): void {
    const [job] = this.#running.splice(index % Math.max(1, this.#running.length), 1)
    if (works) job?.resolve()
    else job?.reject(new Error('a slow handler that fails'))
  }

  /** From now on every handler succeeds, those that run too. */
  async calmDown(): Promise<void> {
    this.#behaviours = []
    const done = Promise.all(this.answers)
    while ((await Promise.race([done, turn('not yet')])) === 'not yet') this.finish(0, true)
  }

  async look(): Promise<void> {
    this.recorded = await statusIn(this.#webhook.inbox)
  }

  #hold(): 'hold' {
    this.#behaviours = this.#behaviours.slice(1)
    return 'hold'
  }

  async #handle({ id }: ConversionContext): Promise<void> {
    const key = id.slice(id.indexOf(':') + 1) as Key
    const [next = 'works', ...others] = this.#behaviours
    this.#behaviours = others
    if (this.#running.length > 0) this.violations.push(`${key} runs beside another delivery of its identity`)
    if (next === 'fails') throw new Error('a handler that fails')
    if (next === 'is slow') {
      const end = deferred()
      this.#running.push(end)
      await end.promise
    }
    this.completed.push(key)
  }
}

async function perform(
  behaviours: readonly Behaviour[],
  concurrency: number,
  steps: readonly ({ send: Sent } | { finish: number; works: boolean } | 'turn')[],
): Promise<Shop> {
  const shop = new Shop(behaviours, concurrency)
  for (const each of steps) {
    if (each === 'turn') await turn()
    else if ('send' in each) void shop.send(each.send)
    else shop.finish(each.finish, each.works)
  }
  await shop.calmDown()
  return shop
}

const scenario = [
  fc.array(behaviour, { maxLength: 12 }),
  fc.integer({ min: 1, max: 3 }),
  fc.array(step, { minLength: 1, maxLength: 16 }),
] as const
const runs = { numRuns: cases(500) }

/** Repeats callbacks as a sender would, until nothing is unsettled. */
async function settle(shop: Shop): Promise<void> {
  await shop.look()
  if (shop.recorded === undefined) return
  await shop.send({ status: shop.recorded, goal: false })
  await shop.look()
}

test('every delivery completes at most once, and deliveries of one identity never run side by side', async () => {
  await fc.assert(
    fc.asyncProperty(...scenario, async (behaviours, concurrency, steps) => {
      const shop = await perform(behaviours, concurrency, steps)
      await settle(shop)
      expect(shop.completed).toEqual([...new Set(shop.completed)])
      expect(shop.violations).toEqual([])
    }),
    runs,
  )
})

test('every callback is answered with an outcome or with the code of what went wrong', async () => {
  const answers = ['accepted', 'duplicate', 'stale', 'conflict']
  const codes = ['ERR_CONVERSION_HANDLER_FAILED', 'ERR_CONVERSION_DELIVERY_HELD']
  await fc.assert(
    fc.asyncProperty(...scenario, async (behaviours, concurrency, steps) => {
      const shop = await perform(behaviours, concurrency, steps)
      expect([...answers, ...codes]).toEqual(expect.arrayContaining(await Promise.all(shop.answers)))
    }),
    runs,
  )
})

test('after a success and a fail, either the success was not delivered or its reversal was', async () => {
  await fc.assert(
    fc.asyncProperty(...scenario, async (behaviours, concurrency, steps) => {
      const shop = await perform(behaviours, concurrency, steps)
      await settle(shop)
      const paidAt = Math.max(shop.completed.indexOf('success'), shop.completed.indexOf('goalComplete'))
      const reversedAt = shop.completed.indexOf('reversal')
      if (shop.recorded === 'fail' && paidAt !== -1) expect(reversedAt).toBeGreaterThan(paidAt)
      else expect(reversedAt).toBe(-1)
    }),
    runs,
  )
})

test('after a repeat with working handlers nothing is unsettled: the next repeat is a duplicate', async () => {
  await fc.assert(
    fc.asyncProperty(...scenario, async (behaviours, concurrency, steps) => {
      const shop = await perform(behaviours, concurrency, steps)
      await settle(shop)
      if (shop.recorded === undefined) return
      const { recorded: status } = shop
      expect(await shop.send({ status, goal: false })).toBe('duplicate')
      if (status === 'success') expect(shop.completed).toContain('success')
      if (status === 'pending') expect(shop.completed).toEqual(['pending'])
    }),
    runs,
  )
})
