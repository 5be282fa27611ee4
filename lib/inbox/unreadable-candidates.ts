/** Milliseconds until a candidate is tried again: somebody may have mended its row. */
const againMs = 60_000
const maxCandidates = 1_000

/** Candidates with a stored value that cannot be read. A look leaves them out, so that they keep no delivery behind them waiting. */
export class UnreadableCandidates {
  /** The id of each, with the time at which it is tried again. */
  readonly #until = new Map<string, number>()

  /** Leaves a candidate out for a minute. Returns whether it is a new one. */
  add(id: string, now: number): boolean {
    const isNew = !this.#until.delete(id)
    this.#until.set(id, now + againMs)
    const [oldest] = this.#until.keys()
    if (this.#until.size > maxCandidates && oldest !== undefined) this.#until.delete(oldest)
    return isNew
  }

  leftOut(now: number): ReadonlySet<string> {
    return new Set([...this.#until].filter(([, until]) => until > now).map(([id]) => id))
  }
}
