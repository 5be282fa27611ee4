const turnMs = 10
const portionMs = 10
const maxPortion = 50
const growth = 1.25

/** Splits an operator's long work into turns of the event loop of about 10 ms, so that callbacks are answered in between. */
export class ShortTurns {
  #since = performance.now()

  /** Called between two steps; waits for the next turn if this one has taken 10 ms. */
  async step(): Promise<void> {
    if (performance.now() - this.#since < turnMs) return
    await new Promise(setImmediate)
    this.#since = performance.now()
  }
}

/** Calls `make` for the first item, and for further items until 10 ms have passed. */
export function inOneTurn<Item, Made>(items: readonly Item[], make: (item: Item) => Made): Made[] {
  const made: Made[] = []
  const startedAt = performance.now()
  for (const item of items) {
    made.push(make(item))
    if (performance.now() - startedAt > turnMs) break
  }
  return made
}

/** The number of items in a portion: as many as took 10 ms the last time. A slower disk makes portions smaller. */
export class PortionSize {
  readonly #max: number
  #size: number

  constructor(first: number, max: number) {
    this.#size = first
    this.#max = max
  }

  get size(): number {
    return this.#size
  }

  /** Called after each portion. */
  took(items: number, ms: number): void {
    const fitting = Math.floor((items * portionMs) / ms)
    this.#size = Math.max(1, Math.min(fitting, Math.ceil(growth * this.#size), this.#max))
  }
}

/**
 * Changes many items in portions of 10 ms. The items of a portion share a commit; callbacks that come meanwhile are committed before the
 * next portion.
 */
export class Portions {
  readonly #portion = new PortionSize(20, maxPortion)

  /** Resolves with the results, in the order of the items. */
  async each<Item, Result>(items: readonly Item[], work: (item: Item) => Promise<Result>): Promise<readonly Result[]> {
    const results: Result[] = []
    while (results.length < items.length) {
      const portion = items.slice(results.length, results.length + this.#portion.size)
      const startedAt = performance.now()
      results.push(...(await Promise.all(portion.map(work))))
      this.#portion.took(portion.length, performance.now() - startedAt)
    }
    return results
  }
}
