import type { Callback, ConversionStatus } from '../callback/conversion.js'
import type { ConversionEvent, DeliveryState, Outcome, Previous } from './vocabulary.js'

/** What the ledger records of a claim, apart from its deliveries. */
interface Facts {
  readonly status: ConversionStatus
  /** Whether a pending before the success, or any success, said that the goal is complete. */
  readonly goal: boolean
  /** The first amount that a success stated; a success with another amount is a conflict. */
  readonly purchaseValue?: number | undefined
  /** Addresses and amount were pruned or erased. Repeats do not restore them, so contradictions are no longer detected. */
  readonly isEmptied?: boolean | undefined
}

/** What the ledger must know of a delivery. */
export interface Entry {
  readonly event: ConversionEvent
  /** Order of recording within the claim. */
  readonly sequence: number
  readonly state: DeliveryState
  /** Whether this is a fail that takes back a delivered success. */
  readonly reversal: boolean
  /** Done because its event had no handler: there is no handler's effect that a fail would have to take back. */
  readonly hadNoHandler?: boolean | undefined
  readonly previous?: Previous | undefined
}

export interface Recorded extends Facts {
  readonly deliveries: readonly Entry[]
}

export interface Decision {
  readonly outcome: Exclude<Outcome, 'refused'>
  readonly next: Facts
  /** The events to deliver, in order. Each makes a new delivery, or brings the withdrawn one back. */
  readonly events: readonly ConversionEvent[]
  readonly previous?: Previous | undefined
}

type Ruling = 'event' | 'duplicate' | 'stale' | 'conflict'
type Standing = 'nothing' | 'pending' | 'success' | 'failUndelivered' | 'failDelivered'

/** "The ledger" in docs/design.md: the recorded status, then the status that arrives. */
const table: Readonly<Record<Standing, Readonly<Record<ConversionStatus, Ruling>>>> = {
  nothing: { pending: 'event', success: 'event', fail: 'event' },
  pending: { pending: 'duplicate', success: 'event', fail: 'event' },
  success: { pending: 'stale', success: 'duplicate', fail: 'event' },
  failUndelivered: { pending: 'stale', success: 'event', fail: 'duplicate' },
  failDelivered: { pending: 'stale', success: 'conflict', fail: 'duplicate' },
}

/** What a callback changes in the claim that it belongs to. Pure: no clock, no I/O. */
export function decide(recorded: Recorded | undefined, callback: Callback): Decision {
  const { status, params } = callback
  const saysGoal = params.goal_complete?.trim() === '1'
  const said = amountOf(callback)
  const standing = standingOf(recorded)
  const verdict = table[standing][status]
  if (recorded && (verdict === 'conflict' || contradicts(recorded, said))) {
    return { outcome: 'conflict', next: recorded, events: [] }
  }

  // `goal_complete=1` counts in a success, and in a pending that comes before the success; never in a fail or a stale pending.
  const counts = status === 'success' || (status === 'pending' && verdict !== 'stale')
  const goal = (recorded?.goal ?? false) || (saysGoal && counts)
  const isEvent = verdict === 'event'
  const isEmptied = recorded?.isEmptied
  const merged: Facts = {
    status: recorded && !isEvent ? recorded.status : status,
    goal,
    purchaseValue: recorded?.purchaseValue ?? (isEmptied === true ? undefined : said),
    isEmptied,
  }
  const previous = recorded && previousOf(recorded)

  if (isEvent) {
    const events: ConversionEvent[] = status === 'success' && goal ? ['success', 'goalComplete'] : [status]
    return { outcome: 'accepted', next: merged, events, previous }
  }
  if (standing === 'success' && status === 'success' && goal && recorded?.goal === false) {
    return { outcome: 'accepted', next: merged, events: ['goalComplete'], previous }
  }
  return { outcome: verdict, next: verdict === 'stale' && recorded ? recorded : merged, events: [] }
}

/** What to do with a delivery that is being claimed. */
export type Due =
  | { readonly action: 'deliver'; readonly reversal: boolean; readonly previous: Previous | undefined }
  | { readonly action: 'withdraw' }

const withdraw: Due = { action: 'withdraw' }

/** Whether a delivery that is being claimed is still to be run, and as what: later callbacks may have overtaken it. Pure. */
export function due(recorded: Recorded, delivery: Entry): Due {
  const { event, sequence, previous } = delivery
  const { deliveries } = recorded
  const isLater = (other: Entry): boolean => other.sequence > sequence

  if (isSuccess(delivery)) {
    const failed = deliveries.some((other) => other.event === 'fail' && isLater(other))
    return failed ? withdraw : { action: 'deliver', reversal: false, previous }
  }
  if (deliveries.some((other) => other.state === 'done' && other.event !== event && isLater(other))) return withdraw
  if (event === 'pending') return { action: 'deliver', reversal: false, previous }

  const earlier = deliveries.filter((other) => other.sequence < sequence)
  if (isDelivered(earlier)) {
    const paid: Previous = { status: 'success', goalComplete: isGoalDelivered(earlier) }
    return { action: 'deliver', reversal: true, previous: paid }
  }
  if (isPlainFailDone(deliveries.filter((other) => other !== delivery))) return withdraw
  if (previous?.status !== 'success') return { action: 'deliver', reversal: false, previous }
  // The success before this fail was never delivered, so the handler gets the status before that success.
  const before = earlier.find(({ event }) => event === 'success')?.previous
  return { action: 'deliver', reversal: false, previous: before }
}

/** Whether a handler completed the delivery. */
function isHandled({ state, hadNoHandler }: Entry): boolean {
  return state === 'done' && hadNoHandler !== true
}

/** Whether the event pays an order: only then is `confirm` asked and the order reserved. */
export function isSuccess({ event }: Pick<Entry, 'event'>): boolean {
  return event === 'success' || event === 'goalComplete'
}

/** Whether a handler completed a success or goal, which a fail has to take back. */
export function isDelivered(deliveries: readonly Entry[]): boolean {
  return deliveries.some((delivery) => isSuccess(delivery) && isHandled(delivery))
}

/** Whether the plain fail is done. A claim has at most one. */
export function isPlainFailDone(deliveries: readonly Entry[]): boolean {
  return deliveries.some(({ event, reversal, state }) => event === 'fail' && !reversal && state === 'done')
}

function isGoalDelivered(deliveries: readonly Entry[]): boolean {
  return deliveries.some((delivery) => delivery.event === 'goalComplete' && isHandled(delivery))
}

/** The `previous` of a callback that arrives now. */
export function previousOf({ status, deliveries }: Recorded): Previous {
  return { status, goalComplete: isGoalDelivered(deliveries) }
}

function standingOf(recorded: Recorded | undefined): Standing {
  if (recorded === undefined) return 'nothing'
  if (recorded.status !== 'fail') return recorded.status
  return isDelivered(recorded.deliveries) ? 'failDelivered' : 'failUndelivered'
}

/** The amount that a success states. */
function amountOf({ status, params }: Callback): number | undefined {
  return status === 'success' && params.purchaseValue !== undefined ? Number(params.purchaseValue) : undefined
}

/** Whether two successes of one claim state different amounts. */
function contradicts({ purchaseValue: known }: Facts, said: number | undefined): boolean {
  return known !== undefined && said !== undefined && known !== said
}
