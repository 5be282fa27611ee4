import type { ConflictRecord, QuarantinedCallback, QuarantineKind, RefusedRecord } from '../quarantine.js'
import type { ClaimRecord, Delivery, DeliveryKey } from '../records.js'
import type { Column } from './columns.js'
import { amount, claimKey, columnsOf, count, encoded, flag, id, orNull, text, time, total, word } from './columns.js'
import { oneOf } from './decoding.js'
import {
  decodeCallback,
  decodeDiffers,
  decodeIssues,
  encodeCallback,
  encodeDiffers,
  encodeIssues,
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

/*
 * The columns of what is stored, a line each: its name, the field that it holds, and its kind. Both databases make, write, update and read
 * their tables by these lines. A column that comes later is one line with `since`, and may be null.
 */

const claim = columnsOf<ClaimRecord>()

export const claimColumns = [
  claim('id', 'id', id),
  claim('identity', 'identity', id),
  claim('people', 'peopleHash', orNull(text)),
  claim('scope', 'scope', text),
  claim('status', 'status', word(readStatus)),
  claim('goal', 'goal', flag),
  claim('referrer_email', 'referrerEmail', orNull(text)),
  claim('referee_email', 'refereeEmail', orNull(text)),
  claim('purchase_value', 'purchaseValue', orNull(amount)),
  claim('is_forgotten', 'isEmptied', flag),
  claim('reserved_order', 'order', orNull(text)),
  claim('repeats', 'repeats', encoded(encodeRepeats, decodeRepeats)),
]

/** Which order a claim is of: the columns that listings of deliveries read of it. */
const placeNames: readonly string[] = ['identity', 'scope', 'reserved_order']
export const placeColumns = claimColumns.filter(({ name }) => placeNames.includes(name))

/** What deliveries are listed by, of their claim: an index of a table can only hold columns of that table. */
export interface ListedBy {
  readonly scope: string
  readonly orderId?: string | undefined
  readonly referrerEmail?: string | undefined
  readonly refereeEmail?: string | undefined
}

export interface DeliveryRow extends Omit<Delivery, 'event' | 'reversal'>, ListedBy {
  /** The claim's id; in SQLite its number. */
  readonly claim: string | number
  readonly key: DeliveryKey
  readonly receivedAt: number
  readonly isEmptied: boolean
}

const delivery = columnsOf<DeliveryRow>()
const isWrittenOnly = true

export const readKey = oneOf<DeliveryKey>({
  success: true,
  fail: true,
  pending: true,
  goalComplete: true,
  reversal: true,
})

/** All but the callback, which is long and seldom changes. The first two tell deliveries apart. */
export const changingDeliveryColumns = [
  delivery('claim', 'claim', claimKey, { isWrittenOnly }),
  delivery('event_key', 'key', { ...id, decode: readKey }),
  delivery('sequence', 'sequence', count),
  delivery('state', 'state', word(oneOf(deliveryStates))),
  delivery('attempts', 'attempts', count),
  delivery('holds', 'holds', count),
  delivery('held_since', 'heldSince', orNull(time)),
  delivery('first_date', 'firstDate', orNull(time)),
  delivery('held_until', 'heldUntil', orNull(time)),
  // In SQLite by the steady clock, unless the delivery is held until a date.
  delivery('due_at', 'dueAt', time),
  delivery('started_at', 'startedAt', orNull(time)),
  delivery('owner', 'owner', orNull(text)),
  delivery('received_at', 'receivedAt', time, { isWrittenOnly }),
  delivery('settled_at', 'settledAt', orNull(time)),
  delivery('is_unheard', 'hadNoHandler', flag),
  delivery('takes', 'takesOrder', flag),
  delivery('taken_by', 'takenBy', orNull(text)),
  delivery('previous', 'previous', encoded(encodePrevious, decodePrevious)),
  delivery('log', 'log', encoded(encodeLog, decodeLog)),
  // What prune has emptied leaves the index that prune reads.
  delivery('is_emptied', 'isEmptied', flag, { isWrittenOnly }),
  delivery('scope', 'scope', text, { isWrittenOnly }),
  delivery('order_id', 'orderId', orNull(text), { isWrittenOnly }),
  delivery('referrer_email', 'referrerEmail', orNull(text), { isWrittenOnly }),
  delivery('referee_email', 'refereeEmail', orNull(text), { isWrittenOnly }),
]

export const deliveryColumns = [
  ...changingDeliveryColumns,
  delivery('callback', 'callback', { ...encoded(encodeCallback, decodeCallback), isNullable: false }),
]

/** What a repeat and a replay change of a callback in quarantine. */
type ChangingQuarantineRow = Pick<QuarantinedCallback, 'state' | 'lastAt' | 'count' | 'log'> &
  Partial<Pick<RefusedRecord, 'identity' | 'code' | 'issues'> & Pick<ConflictRecord, 'differs'>>

/** A callback in quarantine of either kind, as a row. */
export interface QuarantineRow extends ChangingQuarantineRow {
  readonly id: string
  readonly kind: QuarantineKind
  readonly scope: string
  readonly receivedAt: number
  /** What the row takes. */
  readonly bytes: number
  /** What was received, encoded by the row's kind. */
  readonly body: string
}

const changing = columnsOf<ChangingQuarantineRow>()
const kept = columnsOf<QuarantineRow>()

export const changingQuarantineColumns = [
  changing(
    'state',
    'state',
    word(oneOf<ChangingQuarantineRow['state']>({ refused: true, conflict: true, waiting: true, done: true })),
  ),
  changing('identity', 'identity', orNull(id)),
  changing('last_at', 'lastAt', time),
  changing('count', 'count', total),
  changing('code', 'code', orNull(word(readCode))),
  changing('issues', 'issues', encoded(encodeIssues, decodeIssues)),
  changing('differs', 'differs', encoded(encodeDiffers, decodeDiffers)),
  changing('log', 'log', encoded(encodeLog, decodeLog)),
]

export const quarantineColumns: readonly Column<QuarantineRow>[] = [
  kept('id', 'id', id),
  kept('kind', 'kind', word(oneOf<QuarantineKind>({ refused: true, conflict: true }))),
  kept('scope', 'scope', text),
  kept('received_at', 'receivedAt', time),
  kept('bytes', 'bytes', count, { isWrittenOnly }),
  ...changingQuarantineColumns,
  kept('body', 'body', text), // last, since it is long
]
