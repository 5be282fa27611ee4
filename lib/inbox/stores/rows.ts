import type { Callback, ConversionStatus } from '../../callback/conversion.js'
import type { Received } from '../../callback/received.js'
import type { ConversionErrorCode, Issue } from '../../errors.js'
import type { Facts } from '../ledger.js'
import {
  receivedAtOf,
  scopeOf,
  type Candidate,
  type ConflictRecord,
  type QuarantinedCallback,
  type RefusedRecord,
  type Size,
} from '../quarantine.js'
import {
  keyOf,
  orderIdOf,
  splitDeliveryId,
  type Delivery,
  type ClaimHead,
  type ClaimRecord,
  type LogEntry,
} from '../records.js'
import type { DailyCount } from '../store.js'
import type { DeliveryState, Difference, Previous } from '../vocabulary.js'

/** What a column holds. A driver may give whole numbers as texts. */
export type Cell = string | number | null
export type Row = Readonly<Record<string, unknown>>

/** The columns of a claim, in the order of `claimCells`. */
export const claimColumns = [
  'id',
  'identity',
  'people',
  'scope',
  'status',
  'goal',
  'referrer_email',
  'referee_email',
  'purchase_value',
  'is_forgotten',
  'reserved_order',
  'repeats',
] as const

export function claimCells(record: ClaimRecord): Cell[] {
  const { id, identity, people, scope, status, goal, referrerEmail, refereeEmail, purchaseValue, repeats } = record
  return [
    id,
    identity,
    people ?? null,
    scope,
    status,
    goal ? 1 : 0,
    referrerEmail ?? null,
    refereeEmail ?? null,
    purchaseValue ?? null,
    record.isForgotten === true ? 1 : 0,
    record.order ?? null,
    repeats.duplicate || repeats.stale ? JSON.stringify(repeats) : null,
  ]
}

/** The columns of a delivery, in the order of `deliveryCells`; the first two tell deliveries apart. */
export const deliveryColumns = [
  'claim',
  'event_key',
  'sequence',
  'state',
  'attempts',
  'holds',
  'held_since',
  'first_date',
  'held_until',
  'due_at',
  'started_at',
  'owner',
  'received_at',
  'settled_at',
  'is_unheard',
  'takes',
  'taken_by',
  'previous',
  'log',
  'scope',
  'order_id',
  'referrer_email',
  'referee_email',
  'callback',
] as const

/** All but the last, which is long and seldom changes. */
export function deliveryCells(claim: Cell, delivery: Delivery, record: ClaimRecord): Cell[] {
  const { sequence, state, attempts, holds, heldSince, firstDate, heldUntil, dueAt } = delivery
  const { startedAt, owner, settledAt, isUnheard, previous, log } = delivery
  return [
    claim,
    keyOf(delivery),
    sequence,
    state,
    attempts,
    holds,
    heldSince ?? null,
    firstDate ?? null,
    heldUntil ?? null,
    dueAt,
    startedAt ?? null,
    owner ?? null,
    delivery.callback.receivedAt,
    settledAt ?? null,
    isUnheard === true ? 1 : 0,
    delivery.takes === true ? 1 : 0,
    delivery.takenBy ?? null,
    previous ? JSON.stringify(previous) : null,
    logCell(log),
    ...listedCells(record),
  ]
}

/** What deliveries are listed by, of their claim: an index of a table can only hold columns of that table. */
function listedCells(record: ClaimRecord): readonly Cell[] {
  return [record.scope, orderIdOf(record) ?? null, record.referrerEmail ?? null, record.refereeEmail ?? null]
}

export function callbackCell({ callback }: Delivery): string {
  return JSON.stringify(callback)
}

export function toDelivery(row: Row): Delivery {
  const heldSince = optional(row.held_since)
  const startedAt = optional(row.started_at)
  const firstDate = optional(row.first_date)
  const heldUntil = optional(row.held_until)
  const settledAt = optional(row.settled_at)
  return {
    ...toEvent(row),
    sequence: Number(row.sequence),
    state: text(row.state) as DeliveryState,
    attempts: Number(row.attempts),
    holds: Number(row.holds),
    dueAt: Number(row.due_at),
    callback: JSON.parse(text(row.callback)) as Callback,
    log: toLog(row.log),
    ...(heldSince !== undefined && { heldSince }),
    ...(startedAt !== undefined && { startedAt }),
    ...(firstDate !== undefined && { firstDate }),
    ...(heldUntil !== undefined && { heldUntil }),
    ...(settledAt !== undefined && { settledAt }),
    ...(row.owner !== null && { owner: text(row.owner) }),
    ...(Number(row.is_unheard) === 1 && { isUnheard: true }),
    ...(Number(row.takes) === 1 && { takes: true }),
    ...(row.taken_by !== null && { takenBy: text(row.taken_by) }),
    ...(row.previous !== null && { previous: JSON.parse(text(row.previous)) as Previous }),
  }
}

export function toRecord(row: Row, deliveries: readonly Delivery[]): ClaimRecord {
  const facts: Facts = {
    status: text(row.status) as ConversionStatus,
    goal: Number(row.goal) === 1,
    ...(row.purchase_value !== null && { purchaseValue: Number(row.purchase_value) }),
    ...(Number(row.is_forgotten) === 1 && { isForgotten: true }),
  }
  const head: Omit<ClaimHead, 'identity'> = {
    id: text(row.id),
    ...(row.people !== null && { people: text(row.people) }),
    ...(row.referrer_email !== null && { referrerEmail: text(row.referrer_email) }),
    ...(row.referee_email !== null && { refereeEmail: text(row.referee_email) }),
  }
  const repeats = row.repeats === null ? {} : (JSON.parse(text(row.repeats)) as ClaimRecord['repeats'])
  return { ...head, ...toPlace(row), ...facts, deliveries, repeats }
}

/** Which order a claim is of. */
export function toPlace(row: Row): Pick<ClaimRecord, 'identity' | 'order' | 'scope'> {
  const order = row.reserved_order === null ? {} : { order: text(row.reserved_order) }
  return { identity: text(row.identity), ...order, scope: text(row.scope) }
}

/** The columns of a quarantined callback, in the order of `quarantineCells`: those that stay first, then those that change. */
const lasting = ['id', 'kind', 'scope', 'received_at', 'bytes', 'body'] as const
export const changingColumns = ['state', 'identity', 'last_at', 'count', 'code', 'issues', 'differs', 'log'] as const
export const quarantineColumns = [...lasting, ...changingColumns] as const

/** What a row takes besides its texts when it comes: in indexes, and for what its log will say. */
const bytesPerRow = 1_024
/** A key that it is found by takes so much, in a table or an index of its own. */
const bytesPerKey = 64

/** `forms` are what it is found by. */
export function quarantineCells(quarantined: QuarantinedCallback, forms: ReadonlySet<string>): Cell[] {
  const { id, kind, state, identity = null, lastAt, count, log } = quarantined
  const scope = scopeOf(quarantined)
  const body = JSON.stringify(quarantined.kind === 'refused' ? quarantined.received : quarantined.callback)
  const code = quarantined.kind === 'refused' ? quarantined.code : null
  const issues = quarantined.kind === 'refused' ? JSON.stringify(quarantined.issues) : null
  const differs = quarantined.kind === 'conflict' ? JSON.stringify(quarantined.differs) : null
  const texts = [scope, body, issues ?? '', differs ?? '']
  const bytes = texts.reduce((sum, each) => sum + Buffer.byteLength(each), bytesPerRow + bytesPerKey * forms.size)
  const fixed = [id, kind, scope, receivedAtOf(quarantined), bytes, body]
  return [...fixed, state, identity, lastAt, count, code, issues, differs, logCell(log)]
}

export function toQuarantined(row: Row): QuarantinedCallback {
  const shared = {
    id: text(row.id),
    count: Number(row.count),
    lastAt: Number(row.last_at),
    log: toLog(row.log),
  }
  if (row.kind === 'conflict') {
    return {
      kind: 'conflict',
      ...shared,
      state: text(row.state) as ConflictRecord['state'],
      identity: text(row.identity),
      differs: JSON.parse(text(row.differs)) as Difference[],
      callback: JSON.parse(text(row.body)) as Callback,
    }
  }
  return {
    kind: 'refused',
    ...shared,
    ...(row.identity !== null && { identity: text(row.identity) }),
    state: text(row.state) as RefusedRecord['state'],
    code: text(row.code) as ConversionErrorCode,
    issues: JSON.parse(text(row.issues)) as Issue[],
    received: JSON.parse(text(row.body)) as Received,
    scope: text(row.scope),
    receivedAt: Number(row.received_at),
  }
}

function logCell(log: readonly LogEntry[]): Cell {
  return log.length > 0 ? JSON.stringify(log) : null
}

function toLog(cell: unknown): LogEntry[] {
  return cell === null ? [] : (JSON.parse(text(cell)) as LogEntry[])
}

/** How many rows, and their bytes. */
export function toSize(row: Row | undefined): Size {
  return { rows: Number(row?.rows ?? 0), bytes: Number(row?.bytes ?? 0) }
}

export function toCandidate(row: Row): Candidate {
  return { number: Number(row.number), receivedAt: Number(row.received_at), bytes: Number(row.bytes) }
}

/** The deliveries of a record whose rows are to be written, and the keys that are gone. */
export function changedDeliveries(before: ClaimRecord | undefined, after: ClaimRecord) {
  const old = before && listedCells(before)
  const isListedAlike = old !== undefined && listedCells(after).every((cell, index) => cell === old[index])
  const known = new Set(isListedAlike ? before?.deliveries : [])
  const keys = new Set(after.deliveries.map(keyOf))
  return {
    changed: after.deliveries.filter((delivery) => !known.has(delivery)),
    gone: (before?.deliveries ?? []).map(keyOf).filter((key) => !keys.has(key)),
  }
}

function toEvent(row: Row): Pick<Delivery, 'event' | 'reversal'> {
  const [, key] = splitDeliveryId(`:${text(row.event_key)}`)
  if (key === undefined) throw new TypeError('a delivery of an unknown event')
  return { event: key === 'reversal' ? 'fail' : key, reversal: key === 'reversal' }
}

export function toDailyCount(row: Row): DailyCount {
  return { day: Number(row.day), event: toEvent(row).event, count: Number(row.count) }
}

export function text(cell: unknown): string {
  if (typeof cell !== 'string') throw new TypeError('a column is not a text')
  return cell
}

export function optional(cell: unknown): number | undefined {
  return cell === null ? undefined : Number(cell)
}
