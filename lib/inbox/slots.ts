/** Gives the slot back; calling it again changes nothing. */
export type Release = () => void

/** At most `size` deliveries at a time; who comes later waits in order. */
export class Slots {
  #free: number
  readonly #queue: ((release: Release) => void)[] = []

  constructor(size: number) {
    this.#free = size
  }

  /** A slot that is free now, if there is one. */
  take(): Release | undefined {
    if (this.#free === 0) return undefined
    this.#free--
    let isHeld = true
    return () => {
      if (!isHeld) return
      isHeld = false
      this.#free++
      this.#serve()
    }
  }

  acquire(): Promise<Release> {
    return new Promise((resolve) => {
      this.#queue.push(resolve)
      this.#serve()
    })
  }

  #serve(): void {
    if (this.#queue.length === 0) return
    const slot = this.take()
    if (slot !== undefined) this.#queue.shift()?.(slot)
  }
}
