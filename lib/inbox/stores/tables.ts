import type { Callback } from '../../callback/conversion.js'
import type { Received } from '../../callback/received.js'
import type { ConversionErrorCode, Issue } from '../../errors.js'
import type { Difference } from '../vocabulary.js'
import { receivedAtOf, scopeOf, type QuarantinedCallback, type QuarantineKind } from '../quarantine.js'
import { lacksPayload, keyOf, type ClaimRecord, type Delivery, type DeliveryKey, type LogEntry } from '../records.js'
import { amount, claimKey, count, flag, id, text, time, total, type Column } from './columns.js'
import { oneOf } from './decoding.js'
import {
  decodeCallback,
  decodeDiffers,
  decodeIssues,
  decodeReceived,
  encodeCallback,
  encodeDiffers,
  encodeIssues,
  encodeReceived,
  readStatus,
} from './stored.js'
import {
  decodeLog,
  decodePrevious,
  decodeRepeats,
  deliveryStates,
  encodeLog,
  encodePrevious,
  encodeRepeats,
  readCode,
} from './stored-history.js'
import { orderIdOf } from '../claims.js'

/*
 * The columns of what is stored, a line each: name, what it is written from, what it is read into. Both databases make, write, update and
 * read their tables by these lines. A column that comes later is one line with `since`; it must be `orNull`.
 */

type Writable<T> = { -readonly [Name in keyof T]: T[Name] }

export type ClaimDraft = Writable<ClaimRecord>

export const claimColumns: readonly Column<ClaimRecord, ClaimDraft>[] = [
  id({ name: 'id', write: (of) => of.id, read: (is, to) => (to.id = is) }),
  id({ name: 'identity', write: (of) => of.identity, read: (is, to) => (to.identity = is) }),
  text.orNull({ name: 'people', write: (of) => of.peopleHash, read: (is, to) => (to.peopleHash = is) }),
  text({ name: 'scope', write: (of) => of.scope, read: (is, to) => (to.scope = is) }),
  text({ name: 'status', write: (of) => of.status, read: (is, to) => (to.status = readStatus(is)) }),
  flag({ name: 'goal', write: (of) => of.goal, read: (to) => (to.goal = true) }),
  text.orNull({ name: 'referrer_email', write: (of) => of.referrerEmail, read: (is, to) => (to.referrerEmail = is) }),
  text.orNull({ name: 'referee_email', write: (of) => of.refereeEmail, read: (is, to) => (to.refereeEmail = is) }),
  amount.orNull({ name: 'purchase_value', write: (of) => of.purchaseValue, read: (is, to) => (to.purchaseValue = is) }),
  flag({ name: 'is_forgotten', write: (of) => of.isEmptied, read: (to) => (to.isEmptied = true) }),
  text.orNull({ name: 'reserved_order', write: (of) => of.order, read: (is, to) => (to.order = is) }),
  text.orNull({ name: 'repeats', write: repeatsCell, read: (is, to) => (to.repeats = decodeRepeats(is)) }),
]

function repeatsCell({ repeats }: ClaimRecord): string | undefined {
  return repeats.duplicate || repeats.stale ? encodeRepeats(repeats) : undefined
}

/** Which order a claim is of: the columns that listings of deliveries read of it. */
const placeNames: readonly string[] = ['identity', 'scope', 'reserved_order']
export const placeColumns = claimColumns.filter(({ name }) => placeNames.includes(name))

export interface DeliverySource {
  /** Its id; in SQLite its number. */
  readonly claim: string | number
  readonly delivery: Delivery
  readonly record: ClaimRecord
}

export type DeliveryDraft = Writable<Delivery>

/** What deliveries are listed by, of their claim: an index of a table can only hold columns of that table. */
export const listingColumns: readonly Column<Pick<DeliverySource, 'record'>, DeliveryDraft>[] = [
  text({ name: 'scope', write: (of) => of.record.scope }),
  text.orNull({ name: 'order_id', write: (of) => orderIdOf(of.record) }),
  text.orNull({ name: 'referrer_email', write: (of) => of.record.referrerEmail }),
  text.orNull({ name: 'referee_email', write: (of) => of.record.refereeEmail }),
]

/** All but the callback, which is long and seldom changes. The first two tell deliveries apart. */
export const changingDeliveryColumns: readonly Column<DeliverySource, DeliveryDraft>[] = [
  claimKey({ name: 'claim', write: (of) => of.claim }),
  id({ name: 'event_key', write: (of) => keyOf(of.delivery), read: (is, to) => Object.assign(to, readKey(is)) }),
  count({ name: 'sequence', write: (of) => of.delivery.sequence, read: (is, to) => (to.sequence = is) }),
  text({ name: 'state', write: (of) => of.delivery.state, read: (is, to) => (to.state = readState(is)) }),
  count({ name: 'attempts', write: (of) => of.delivery.attempts, read: (is, to) => (to.attempts = is) }),
  count({ name: 'holds', write: (of) => of.delivery.holds, read: (is, to) => (to.holds = is) }),
  time.orNull({ name: 'held_since', write: (of) => of.delivery.heldSince, read: (at, to) => (to.heldSince = at) }),
  time.orNull({ name: 'first_date', write: (of) => of.delivery.firstDate, read: (at, to) => (to.firstDate = at) }),
  time.orNull({ name: 'held_until', write: (of) => of.delivery.heldUntil, read: (at, to) => (to.heldUntil = at) }),
  // In SQLite by the steady clock, unless the delivery is held until a date.
  time({ name: 'due_at', write: (of) => of.delivery.dueAt, read: (at, to) => (to.dueAt = at) }),
  time.orNull({ name: 'started_at', write: (of) => of.delivery.startedAt, read: (at, to) => (to.startedAt = at) }),
  text.orNull({ name: 'owner', write: (of) => of.delivery.owner, read: (is, to) => (to.owner = is) }),
  time({ name: 'received_at', write: (of) => of.delivery.callback.receivedAt }),
  time.orNull({ name: 'settled_at', write: (of) => of.delivery.settledAt, read: (at, to) => (to.settledAt = at) }),
  flag({ name: 'is_unheard', write: (of) => of.delivery.hadNoHandler, read: (to) => (to.hadNoHandler = true) }),
  flag({ name: 'takes', write: (of) => of.delivery.takesOrder, read: (to) => (to.takesOrder = true) }),
  text.orNull({ name: 'taken_by', write: (of) => of.delivery.takenBy, read: (is, to) => (to.takenBy = is) }),
  text.orNull({ name: 'previous', write: previousCell, read: (is, to) => (to.previous = decodePrevious(is)) }),
  text.orNull({ name: 'log', write: (of) => logCell(of.delivery), read: (is, to) => (to.log = decodeLog(is)) }),
  // What prune has emptied leaves the index that prune reads.
  flag({ name: 'is_emptied', write: (of) => lacksPayload(of.delivery.callback) }),
  ...listingColumns,
]

export const deliveryColumns: readonly Column<DeliverySource, DeliveryDraft>[] = [
  ...changingDeliveryColumns,
  text({
    name: 'callback',
    write: (of) => encodeCallback(of.delivery.callback),
    read: (is, to) => (to.callback = decodeCallback(is)),
  }),
]

const readState = oneOf(deliveryStates)
const readDeliveryKey = oneOf<DeliveryKey>({
  success: true,
  fail: true,
  pending: true,
  goalComplete: true,
  reversal: true,
})

/** Of a column that holds a delivery's key. */
export function readKey(value: unknown): Pick<Delivery, 'event' | 'reversal'> {
  const key = readDeliveryKey(value)
  return key === 'reversal' ? { event: 'fail', reversal: true } : { event: key, reversal: false }
}

function previousCell({ delivery }: DeliverySource): string | undefined {
  return delivery.previous && encodePrevious(delivery.previous)
}

function logCell({ log }: { readonly log: readonly LogEntry[] }): string | undefined {
  return log.length > 0 ? encodeLog(log) : undefined
}

/** A callback in quarantine as it is written for the first time. */
export interface QuarantineSource {
  readonly quarantined: QuarantinedCallback
  /** What was received, encoded. */
  readonly body: string
  /** What the row takes. */
  readonly bytes: number
}

/** A callback in quarantine of either kind, while its row is read. */
export interface QuarantineDraft {
  id: string
  kind: QuarantineKind
  state: QuarantinedCallback['state']
  identity?: string
  scope: string
  receivedAt: number
  lastAt: number
  count: number
  code?: ConversionErrorCode
  issues?: readonly Issue[]
  differs?: readonly Difference[]
  log: readonly LogEntry[]
  received?: Received
  callback?: Callback
}

const readKind = oneOf<QuarantineKind>({ refused: true, conflict: true })
const readQuarantineState = oneOf<QuarantinedCallback['state']>({
  refused: true,
  conflict: true,
  waiting: true,
  done: true,
})

const codeOf = (kept: QuarantinedCallback) => (kept.kind === 'refused' ? kept.code : undefined)
export const issuesOf = (kept: QuarantinedCallback) => (kept.kind === 'refused' ? encodeIssues(kept.issues) : undefined)
export const differsOf = (kept: QuarantinedCallback) =>
  kept.kind === 'conflict' ? encodeDiffers(kept.differs) : undefined

/** What a repeat and a replay change. */
export const changingQuarantineColumns: readonly Column<Pick<QuarantineSource, 'quarantined'>, QuarantineDraft>[] = [
  text({ name: 'state', write: (of) => of.quarantined.state, read: (is, to) => (to.state = readQuarantineState(is)) }),
  id.orNull({ name: 'identity', write: (of) => of.quarantined.identity, read: (is, to) => (to.identity = is) }),
  time({ name: 'last_at', write: (of) => of.quarantined.lastAt, read: (at, to) => (to.lastAt = at) }),
  total({ name: 'count', write: (of) => of.quarantined.count, read: (is, to) => (to.count = is) }),
  text.orNull({ name: 'code', write: (of) => codeOf(of.quarantined), read: (is, to) => (to.code = readCode(is)) }),
  text.orNull({
    name: 'issues',
    write: (of) => issuesOf(of.quarantined),
    read: (is, to) => (to.issues = decodeIssues(is)),
  }),
  text.orNull({
    name: 'differs',
    write: (of) => differsOf(of.quarantined),
    read: (is, to) => (to.differs = decodeDiffers(is)),
  }),
  text.orNull({ name: 'log', write: (of) => logCell(of.quarantined), read: (is, to) => (to.log = decodeLog(is)) }),
]

export const quarantineColumns: readonly Column<QuarantineSource, QuarantineDraft>[] = [
  id({ name: 'id', write: (of) => of.quarantined.id, read: (is, to) => (to.id = is) }),
  text({ name: 'kind', write: (of) => of.quarantined.kind, read: (is, to) => (to.kind = readKind(is)) }),
  text({ name: 'scope', write: (of) => scopeOf(of.quarantined), read: (is, to) => (to.scope = is) }),
  time({ name: 'received_at', write: (of) => receivedAtOf(of.quarantined), read: (at, to) => (to.receivedAt = at) }),
  count({ name: 'bytes', write: (of) => of.bytes }),
  ...changingQuarantineColumns,
  text({ name: 'body', write: (of) => of.body, read: readBody }), // last, since it is long, and its kind is read by now
]

/** What was received of it, encoded. */
export function bodyOf(quarantined: QuarantinedCallback): string {
  return quarantined.kind === 'refused' ? encodeReceived(quarantined.received) : encodeCallback(quarantined.callback)
}

function readBody(value: string, to: QuarantineDraft): void {
  if (to.kind === 'refused') to.received = decodeReceived(value)
  else to.callback = decodeCallback(value)
}
