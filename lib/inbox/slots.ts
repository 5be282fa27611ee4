import { Line } from '../util/line.js'

/** The right to run one delivery. */
export interface Slot {
  /** Ends it; calling it again changes nothing. */
  release(): void
  /** Leaves it to others while what the delivery came to is being recorded: its handler has ended. */
  handOn(): void
  /** Leaves it to others while the delivery's handler runs on: that handler counts as stuck until `release`. */
  giveAway(): void
  /** Whether it is still there, or one could be taken again instead of what was given away. */
  retake(): boolean
}

type SlotState = 'taken' | 'ending' | 'stuck' | 'released'

/** Stuck handlers that a process puts up with, for each slot: they keep memory, sockets, and locks of their own. */
const stuckPerSlot = 10

/** At most `size` deliveries at a time, beside ten times as many that are stuck; who comes later waits in order. */
export class Slots {
  readonly #size: number
  readonly #maxStuck: number
  readonly #count: Record<SlotState, number> = { taken: 0, ending: 0, stuck: 0, released: 0 }
  readonly #queue = new Line<(slot: Slot) => void>()
  readonly #whenIdle: (() => void)[] = []

  constructor(size: number) {
    this.#size = size
    this.#maxStuck = size * stuckPerSlot
  }

  /** So few that all could get stuck, too. */
  get free(): number {
    return Math.min(this.#size, this.#maxStuck - this.#count.stuck) - this.#count.taken
  }

  get stuck(): number {
    return this.#count.stuck
  }

  /** Whether there is no slot any more until a stuck handler ends. */
  get isExhausted(): boolean {
    return this.#count.stuck >= this.#maxStuck
  }

  /** Resolves when no slot is taken and all is recorded; what is stuck may run on. */
  idle(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#isIdle) resolve()
      else this.#whenIdle.push(resolve)
    })
  }

  get #isIdle(): boolean {
    return this.#count.taken === 0 && this.#count.ending === 0
  }

  /** A slot that is free now, if there is one. */
  take(): Slot | undefined {
    if (this.free === 0) return undefined
    this.#count.taken++
    let state: SlotState = 'taken'
    const become = (next: SlotState): void => {
      this.#count[state]--
      state = next
      this.#count[state]++
    }
    return {
      release: () => {
        if (state !== 'released') become('released')
        this.#serve()
      },
      handOn: () => {
        if (state !== 'taken' || this.#count.ending === this.#size) return
        become('ending')
        this.#serve()
      },
      giveAway: () => {
        if (state !== 'taken') return
        become('stuck')
        this.#serve()
      },
      retake: () => {
        // One that is stuck makes room itself; beside one that ends, all others may be stuck by now.
        const isRoom = state === 'stuck' ? this.#count.taken < this.#size : state === 'ending' && this.free > 0
        if (isRoom) become('taken')
        return state === 'taken'
      },
    }
  }

  /** A slot when it is one's turn; undefined where the signal is aborted before, so that no one waits for ever. */
  acquire(signal?: AbortSignal): Promise<Slot | undefined> {
    return new Promise((resolve) => {
      const leave = (): void => {
        if (this.#queue.delete(serve)) resolve(undefined)
      }
      const serve = (slot: Slot): void => {
        signal?.removeEventListener('abort', leave)
        resolve(slot)
      }
      this.#queue.add(serve)
      if (signal?.aborted === true) leave()
      else signal?.addEventListener('abort', leave)
      this.#serve()
    })
  }

  /** Hands a free slot to the first in the queue, and tells who waits for the end. */
  #serve(): void {
    if (this.free > 0) {
      const next = this.#queue.shift()
      const slot = next && this.take()
      if (slot) next(slot)
    }
    if (!this.#isIdle) return
    for (const resolve of this.#whenIdle.splice(0)) resolve()
  }
}
