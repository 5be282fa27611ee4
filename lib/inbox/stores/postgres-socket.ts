import { Socket } from 'node:net'

/** A socket that writes what pg sends in one turn at once: pg corks it for each statement, and would write each of a pipeline alone. */
export class TurnSocket extends Socket {
  #isCorked = false

  override cork(): void {
    super.cork()
    if (this.#isCorked) return
    this.#isCorked = true
    super.cork()
    process.nextTick(() => {
      this.#isCorked = false
      super.uncork()
    })
  }
}
