/** An item of a group, with the functions that settle its promise. */
interface Waiting<Item> {
  readonly item: Item
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
}

/** How one item of a group ended. */
export type Ended = { readonly value: unknown } | { readonly error: unknown }

const maxItems = 500

/**
 * Processes together all items that are submitted in one turn of the event loop or while the previous group is processed: a commit costs
 * the same for one row and for a hundred.
 */
export class Group<Item> {
  readonly #go: (items: readonly Item[]) => Promise<readonly Ended[]>
  readonly #gather: () => Promise<unknown> | undefined
  readonly #queue: Waiting<Item>[] = []
  #working: Promise<void> | undefined

  /**
   * `go` processes a group and resolves with an end for each item; if it rejects, no item was processed. `gather` may return a promise to
   * wait for before each group, since its end makes callers submit more items.
   */
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

  /** Resolves when no item is queued or being processed. */
  async idle(): Promise<void> {
    while (this.#working !== undefined) await this.#working
  }

  async #work(): Promise<void> {
    await new Promise(setImmediate)
    while (this.#queue.length > 0) {
      const gathering = this.#gather()
      if (gathering) {
        await gathering
        await new Promise(setImmediate) // callers that waited for `gathering` submit their items now
      }
      const group = this.#queue.splice(0, maxItems)
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
