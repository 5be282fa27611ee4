/** Gives the slot back; calling it again changes nothing. */
export type Release = () => void

/** At most `size` deliveries at a time; who comes later waits in order. */
export class Slots {
  #free: number
  readonly #queue: ((release: Release) => void)[] = []

  constructor(size: number) {
    this.#free = size
  }

  acquire(): Promise<Release> {
    return new Promise((resolve) => {
      this.#queue.push(resolve)
      this.#serve()
    })
  }

  #serve(): void {
    if (this.#free === 0) return
    const next = this.#queue.shift()
    if (next === undefined) return
    this.#free--
    let isHeld = true
    next(() => {
      if (!isHeld) return
      isHeld = false
      this.#free++
      this.#serve()
    })
  }
}
