import { Line } from '../util/line.js'

type SlotState = 'taken' | 'ending' | 'stuck' | 'released'

/** Stuck handlers that a process tolerates per slot: each keeps memory, sockets and locks. */
const stuckPerSlot = 10

/** Ended handlers per slot that wait for their verdicts to be recorded: those of one commit are released after those of the next have come. */
const endingPerSlot = 2

/** Lets at most `size` deliveries run at a time, besides ten times as many stuck ones. Others wait in a queue. */
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

  /** The number of slots to take, so few that stuck handlers stay within their limit even if every running handler gets stuck. */
  get free(): number {
    return Math.min(this.#size, this.#maxStuck - this.#count.stuck) - this.#count.taken
  }

  get stuck(): number {
    return this.#count.stuck
  }

  /** Whether no slot becomes free until a stuck handler ends. */
  get isExhausted(): boolean {
    return this.#count.stuck >= this.#maxStuck
  }

  /** Resolves when no slot is taken and every verdict is recorded. Stuck handlers may still run. */
  idle(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#isIdle) resolve()
      else this.#whenIdle.push(resolve)
    })
  }

  get #isIdle(): boolean {
    return this.#count.taken === 0 && this.#count.ending === 0
  }

  /** Takes a slot; undefined if none is free now. */
  take(): Slot | undefined {
    if (this.free === 0) return undefined
    return new Slot(this.#size, this.#count, this)
  }

  /** Waits in the queue for a slot; undefined if the signal is aborted first. */
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
      this.serve()
    })
  }

  /** Gives a free slot to the first in the queue, and resolves the promises of `idle`. */
  serve(): void {
    if (this.free > 0) {
      const next = this.#queue.shift()
      const slot = next && this.take()
      if (slot) next(slot)
    }
    if (this.#whenIdle.length === 0 || !this.#isIdle) return
    for (const resolve of this.#whenIdle.splice(0)) resolve()
  }
}

/** The right to run one delivery. */
export class Slot {
  readonly #size: number
  readonly #count: Record<SlotState, number>
  readonly #slots: Slots
  #state: SlotState = 'taken'

  constructor(size: number, count: Record<SlotState, number>, slots: Slots) {
    this.#size = size
    this.#count = count
    this.#slots = slots
    count.taken++
  }

  #become(next: SlotState): void {
    this.#count[this.#state]--
    this.#state = next
    this.#count[next]++
  }

  /** Frees the slot; calling it again changes nothing. */
  release(): void {
    if (this.#state !== 'released') this.#become('released')
    this.#slots.serve()
  }

  /** Frees the slot for others once the handler has ended, while the verdict is being recorded. */
  handOn(): void {
    if (this.#state !== 'taken' || this.#count.ending >= this.#size * endingPerSlot) return
    this.#become('ending')
    this.#slots.serve()
  }

  /** Frees the slot for others while the handler still runs: the handler counts as stuck until `release`. */
  giveAway(): void {
    if (this.#state !== 'taken') return
    this.#become('stuck')
    this.#slots.serve()
  }

  /** Takes the slot again after `handOn` or `giveAway`, if there is room; true if the slot is taken now. */
  retake(): boolean {
    // A stuck handler that ends leaves one stuck handler less. Another handler that ends may find the limit of stuck ones reached.
    const isRoom =
      this.#state === 'stuck' ? this.#count.taken < this.#size : this.#state === 'ending' && this.#slots.free > 0
    if (isRoom) this.#become('taken')
    return this.#state === 'taken'
  }
}
