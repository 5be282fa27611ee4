/** Gives the slot back; calling it again changes nothing. */
export type Release = () => void

/** At most `size` deliveries at a time; who comes later waits in order. */
export class Slots {
  #free: number
  readonly #queue: ((release: Release) => void)[] = []
  readonly #size: number
  readonly #whenIdle: (() => void)[] = []

  constructor(size: number) {
    this.#size = size
    this.#free = size
  }

  get free(): number {
    return this.#free
  }

  /** Resolves when every slot is free. */
  idle(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#free === this.#size) resolve()
      else this.#whenIdle.push(resolve)
    })
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
      if (this.#free < this.#size) return
      for (const resolve of this.#whenIdle.splice(0)) resolve()
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
