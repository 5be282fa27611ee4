/** A first-in, first-out queue from which any item can be deleted. `shift` stays fast however many items were deleted. */
export class Line<Item> {
  readonly #items = new Set<Item>()
  // A set's iterator keeps its position, so it never walks over the deleted items before it again.
  readonly #next = this.#items.values()

  add(item: Item): void {
    this.#items.add(item)
  }

  delete(item: Item): boolean {
    return this.#items.delete(item)
  }

  /** Removes and returns the first item. */
  shift(): Item | undefined {
    if (this.#items.size === 0) return undefined // next() on an empty set would end the iterator for good
    const { value } = this.#next.next()
    if (value !== undefined) this.#items.delete(value)
    return value
  }
}
