import type { ConversionEvent, ConversionStatus } from '../../lib/index.js'

/*
 * The ledger of docs/design.md, implemented a second time: what becomes of one identity when callbacks arrive one after another.
 * In the memory inbox a repeat runs what failed; in a durable one, whose attempts are used up with the first, only a replay does.
 * Nothing here is shared with lib/.
 */

export interface Sent {
  readonly status: ConversionStatus
  readonly goal: boolean
}

/** How a shop's handlers behave. */
export interface Shop {
  /** How many attempts at each event fail before the first that succeeds. */
  readonly failures?: Readonly<Partial<Record<ConversionEvent, number>>>
  /** The events that have a handler; all by default. */
  readonly handled?: readonly ConversionEvent[]
  /** Whether a delivery that fails is dead at once. */
  readonly isDurable?: boolean
}

/** What one handler completed: the end of its idempotency key, and the `previous` that it got. */
export interface Completed {
  readonly key: ConversionEvent | 'reversal'
  readonly previous: { readonly status: ConversionStatus; readonly goalComplete: boolean } | undefined
}

export type Answer = 'accepted' | 'duplicate' | 'stale' | 'conflict' | 'failed'

/** The ledger's table, for one claim. */
export const table = {
  nothing: { pending: 'event', success: 'event', fail: 'event' },
  pending: { pending: 'duplicate', success: 'event', fail: 'event' },
  success: { pending: 'stale', success: 'duplicate', fail: 'event' },
  'fail, no success delivered': { pending: 'stale', success: 'event', fail: 'duplicate' },
  'fail, after a delivered success': { pending: 'stale', success: 'conflict', fail: 'duplicate' },
} as const

interface Waiting {
  readonly event: ConversionEvent
  readonly previous: Completed['previous']
}

export class LedgerModel {
  status: ConversionStatus | undefined
  readonly completed: Completed[] = []
  #isGoalSaid = false
  #waiting: Waiting[] = []
  /** What was recorded before the last success: the `previous` of a fail if that success was never delivered. */
  #beforeSuccess: Completed['previous']
  #failures: Map<ConversionEvent, number>
  readonly #handled: readonly ConversionEvent[] | undefined
  readonly #isDurable: boolean

  constructor({ failures = {}, handled, isDurable = false }: Shop = {}) {
    this.#isDurable = isDurable
    this.#failures = new Map(Object.entries(failures) as [ConversionEvent, number][])
    this.#handled = handled
  }

  get previous(): Completed['previous'] {
    return this.status && { status: this.status, goalComplete: this.#has('goalComplete') }
  }

  /** The events whose next attempt fails; attempts at other events succeed. */
  failNext(events: readonly ConversionEvent[]): void {
    this.#failures = new Map(events.map((event) => [event, 1]))
  }

  /** Tries the failed delivery of an event again. */
  replay(event: ConversionEvent): void {
    this.#run(this.#waiting.filter((delivery) => delivery.event === event))
  }

  receive({ status, goal }: Sent): Answer {
    const cell = table[this.#row()][status]
    if (cell === 'stale' || cell === 'conflict') return cell

    const isRepeat = cell === 'duplicate'
    const isGoalNews = goal && status !== 'fail' && !this.#isGoalSaid
    if (isGoalNews) this.#isGoalSaid = true
    const events: ConversionEvent[] = isRepeat ? [] : [status]
    if (status === 'success' && (isRepeat ? isGoalNews : this.#isGoalSaid)) events.push('goalComplete')
    if (isRepeat && events.length === 0 && (this.#isDurable || this.#waiting.length === 0)) return 'duplicate'

    const { previous } = this
    if (!isRepeat && status === 'success') this.#beforeSuccess = previous
    this.status = status
    const kept = this.#waiting.filter(({ event }) => !events.includes(event) && !(status === 'fail' && isPaid(event)))
    this.#waiting = [...kept, ...events.map((event) => ({ event, previous }))]
    const asked =
      isRepeat && !this.#isDurable ? this.#waiting : this.#waiting.filter(({ event }) => events.includes(event))
    const answer = this.#run(asked)
    return this.#isDurable ? 'accepted' : answer
  }

  /** A repeat asks for every waiting delivery, any other callback for its own deliveries. */
  #run(asked: readonly Waiting[]): Answer {
    let isFailed = false
    for (const delivery of asked) {
      const isHandled = this.#handled?.includes(delivery.event) ?? true
      const left = isHandled ? (this.#failures.get(delivery.event) ?? 0) : 0
      const fixed = this.#fix(delivery)
      if (fixed === undefined) this.#drop(delivery)
      else if (left > 0) {
        this.#failures.set(delivery.event, left - 1)
        isFailed = true
      } else {
        if (isHandled) this.completed.push(fixed) // without a handler the delivery is settled, but nothing is completed
        const overtaken = this.#waiting
          .slice(0, this.#waiting.indexOf(delivery))
          .filter(
            ({ event }) =>
              (event === 'pending' && delivery.event !== 'pending') || (event === 'fail' && isPaid(delivery.event)),
          )
        for (const each of [...overtaken, delivery]) this.#drop(each)
      }
    }
    return isFailed && this.#waiting.length > 0 ? 'failed' : 'accepted'
  }

  /** A fail takes back a delivered success, or else is delivered once. */
  #fix({ event, previous }: Waiting): Completed | undefined {
    if (event !== 'fail') return { key: event, previous }
    if (this.#isSuccessDelivered()) {
      return { key: 'reversal', previous: { status: 'success', goalComplete: this.#has('goalComplete') } }
    }
    if (this.#has('fail')) return undefined
    return { key: 'fail', previous: previous?.status === 'success' ? this.#beforeSuccess : previous }
  }

  #drop(delivery: Waiting): void {
    this.#waiting = this.#waiting.filter((other) => other !== delivery)
  }

  #row(): keyof typeof table {
    if (this.status !== 'fail') return this.status ?? 'nothing'
    return this.#isSuccessDelivered() ? 'fail, after a delivered success' : 'fail, no success delivered'
  }

  #isSuccessDelivered(): boolean {
    return this.#has('success') || this.#has('goalComplete')
  }

  #has(key: Completed['key']): boolean {
    return this.completed.some((each) => each.key === key)
  }
}

function isPaid(event: ConversionEvent): boolean {
  return event === 'success' || event === 'goalComplete'
}

const every: readonly Sent[] = (['pending', 'success', 'fail'] as const).flatMap((status) => [
  { status, goal: false },
  { status, goal: true },
])

/** Every sequence of one to `length` callbacks of every status with and without the goal. */
export function sequences(length: number): readonly (readonly Sent[])[] {
  let longest: (readonly Sent[])[] = [[]]
  return Array.from({ length }, () => {
    longest = longest.flatMap((start) => every.map((next) => [...start, next]))
    return longest
  }).flat()
}

/** A sequence as a short name: `P S+ F` is pending, success with the goal, fail. */
export function nameOf(sequence: readonly Sent[]): string {
  return sequence.map(({ status, goal }) => status.charAt(0).toUpperCase() + (goal ? '+' : '')).join(' ')
}
