const turnMs = 10
const portionMs = 10
const maxPortion = 50

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

/**
 * Does something for many items, as many at a time as take 10 ms: they share a commit, and each commit is followed by that of the callbacks
 * which came meanwhile. A slower disk makes the portions smaller.
 */
export class Portions {
  #size = 20

  /** Resolves with the results, in the order of the items. */
  async each<Item, Result>(items: readonly Item[], work: (item: Item) => Promise<Result>): Promise<readonly Result[]> {
    const results: Result[] = []
    while (results.length < items.length) {
      const portion = items.slice(results.length, results.length + this.#size)
      const startedAt = performance.now()
      results.push(...(await Promise.all(portion.map(work))))
      const fitting = Math.floor((portion.length * portionMs) / (performance.now() - startedAt))
      this.#size = Math.max(1, Math.min(fitting, Math.ceil(1.25 * this.#size), maxPortion))
    }
    return results
  }
}
