/** A promise's two ends, for something that is done together with others. */
interface Waiting<Item> {
  readonly item: Item
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
}

/** How one item of a group ended. */
export type Ended = { readonly value: unknown } | { readonly error: unknown }

const maxItems = 500

/**
 * Does in one go what was asked for in one turn of the event loop, and, while one go is under way, everything that comes meanwhile:
 * a commit costs the same for one row and for a hundred.
 */
export class Group<Item> {
  readonly #go: (items: readonly Item[]) => Promise<readonly Ended[]>
  readonly #gather: () => Promise<unknown> | undefined
  #queue: Waiting<Item>[] = []
  #working: Promise<void> | undefined

  /** `go` answers for each item; where it rejects, none of them was done. `gather` gives what is worth waiting for before each go, since more items come of it. */
  constructor(
    go: (items: readonly Item[]) => Promise<readonly Ended[]>,
    gather: () => Promise<unknown> | undefined = () => undefined,
  ) {
    this.#go = go
    this.#gather = gather
  }

  submit(item: Item): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ item, resolve, reject })
      this.#working ??= this.#work()
    })
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    while (this.#working !== undefined) await this.#working
  }

  async #work(): Promise<void> {
    await new Promise(setImmediate)
    while (this.#queue.length > 0) {
      const gathering = this.#gather()
      if (gathering) {
        await gathering
        await new Promise(setImmediate) // what came of it is submitted now
      }
      const group = this.#queue.slice(0, maxItems)
      this.#queue = this.#queue.slice(maxItems)
      try {
        const ends = await this.#go(group.map(({ item }) => item))
        for (const [index, { resolve, reject }] of group.entries()) {
          const end = ends[index]
          if (end === undefined || 'error' in end) reject(end?.error)
          else resolve(end.value)
        }
      } catch (error) {
        for (const { reject } of group) reject(error)
      }
      if (this.#queue.length > 0) await new Promise(setImmediate)
    }
    this.#working = undefined
  }
}
