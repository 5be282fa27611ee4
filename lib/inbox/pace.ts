const turnMs = 10
const portionMs = 10
const maxPortion = 50
const growth = 1.25

/** Lets callbacks come in between what an operator does for long: no turn of the event loop takes much more than 10 ms of it. */
export class Pace {
  #since = performance.now()

  /** Called between two steps; ends the turn where it is long enough. */
  async step(): Promise<void> {
    if (performance.now() - this.#since < turnMs) return
    await new Promise(setImmediate)
    this.#since = performance.now()
  }
}

/** Makes something of each item, at least of the first, for as long as one turn may take. */
export function inOneTurn<Item, Made>(items: readonly Item[], make: (item: Item) => Made): Made[] {
  const made: Made[] = []
  const startedAt = performance.now()
  for (const item of items) {
    made.push(make(item))
    if (performance.now() - startedAt > turnMs) break
  }
  return made
}

/** How many items make a portion: as many as took 10 ms the last time. A slower disk makes portions smaller. */
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
 * Does something for many items, as many at a time as take 10 ms: they share a commit, and each commit is followed by that of the callbacks
 * which came meanwhile.
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
