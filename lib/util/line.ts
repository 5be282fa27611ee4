/** A queue that may be left from any place: finding the first costs the same, however many have left. */
export class Line<Item> {
  readonly #items = new Set<Item>()
  // An iterator of a set goes on where it was, and what it has passed is gone: whoever is in the line is ahead of it.
  readonly #next = this.#items.values()

  add(item: Item): void {
    this.#items.add(item)
  }

  delete(item: Item): boolean {
    return this.#items.delete(item)
  }

  /** Takes the first out of the line. */
  shift(): Item | undefined {
    if (this.#items.size === 0) return undefined // asked then, the iterator would end for good
    const { value } = this.#next.next()
    if (value !== undefined) this.#items.delete(value)
    return value
  }
}
