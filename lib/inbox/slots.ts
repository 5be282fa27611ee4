import { Line } from './line.js'

/** Gives the slot back; calling it again changes nothing. */
export type Release = () => void

/** At most `size` deliveries at a time; who comes later waits in order. */
export class Slots {
  #free: number
  readonly #queue = new Line<(release: Release) => void>()
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

  /** A slot when it is one's turn; undefined where the signal is aborted before, so that no one waits for ever. */
  acquire(signal?: AbortSignal): Promise<Release | undefined> {
    return new Promise((resolve) => {
      const leave = (): void => {
        if (this.#queue.delete(serve)) resolve(undefined)
      }
      const serve = (release: Release): void => {
        signal?.removeEventListener('abort', leave)
        resolve(release)
      }
      this.#queue.add(serve)
      if (signal?.aborted === true) leave()
      else signal?.addEventListener('abort', leave)
      this.#serve()
    })
  }

  #serve(): void {
    if (this.#free === 0) return
    const next = this.#queue.shift()
    if (next === undefined) return
    const slot = this.take()
    if (slot !== undefined) next(slot)
  }
}
