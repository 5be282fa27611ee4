import fc from 'fast-check'
import { History, type Counts } from './claims-history.js'

const number = fc.nat(2 ** 31 - 1)
const history = fc.noBias(fc.tuple(number, fc.array(number, { minLength: 1, maxLength: 50, size: 'max' })))

/**
 * Runs random histories. Throws for the first that differs from the model, shortened and with its steps. Returns what happened in the
 * histories, and how often.
 */
export async function checkHistories(numRuns: number, seed: number): Promise<Counts> {
  const counts: Counts = {}
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 0 // lapsed attempts throw often, and stack traces are slow
  try {
    await fc.assert(
      fc.asyncProperty(history, ([shop, steps]) => live(shop, steps, counts)),
      { numRuns, seed },
    )
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
  return counts
}

async function live(shop: number, steps: readonly number[], counts: Counts): Promise<void> {
  try {
    await new History(shop, counts).run(steps)
  } catch {
    const trace: string[] = [] // filled only for a history that failed
    const error: unknown = await new History(shop, {}, trace).run(steps).catch((thrown: unknown) => thrown)
    throw new Error([...trace, String(error)].join('\n'))
  }
}
