import fc from 'fast-check'
import { History, type Counts } from './claims-history.js'

/* Random histories of claims against the model of section 7: `npm run test:histories` runs a million, the tests of every day some thousands. */

const numRuns = Number(process.env.HISTORIES ?? 3_000)
const seed = Number(process.env.HISTORIES_SEED ?? Date.now() % 2 ** 31)

const number = fc.nat(2 ** 31 - 1)
const history = fc.tuple(number, fc.array(number, { minLength: 1, maxLength: 50, size: 'max' }))

test(
  `${String(numRuns)} random histories are those of the model (seed ${String(seed)})`,
  async () => {
    const counts: Counts = {}
    await fc.assert(
      fc.asyncProperty(fc.noBias(history), async ([shop, steps]) => {
        try {
          await new History(shop, counts).run(steps)
        } catch {
          const trace: string[] = []
          const again = await new History(shop, {}, trace).run(steps).catch((error: unknown) => error)
          throw new Error(`${trace.join('\n')}\n${String(again)}`)
        }
      }),
      { numRuns, seed, endOnFailure: false },
    )
    console.log(counts)
  },
  2 ** 31 - 1,
)
