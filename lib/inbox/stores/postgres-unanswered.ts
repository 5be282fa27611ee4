export type Callback = (error: unknown, result?: unknown) => void

/** What was sent on a connection and is not answered yet. */
export class Unanswered {
  #count = 0
  #since = 0

  /** By the clock of `performance`: when something was sent or heard last, while an answer is missing. */
  get since(): number | undefined {
    return this.#count > 0 ? this.#since : undefined
  }

  track<T>(answer: Promise<T>): Promise<T> {
    const heard = this.#sent()
    answer.then(heard, heard)
    return answer
  }

  calling(callback: Callback): Callback {
    const heard = this.#sent()
    return (...results) => {
      heard()
      callback(...results)
    }
  }

  #sent(): () => void {
    if (this.#count++ === 0) this.#since = performance.now()
    return () => {
      this.#count--
      this.#since = performance.now()
    }
  }
}
