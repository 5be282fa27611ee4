import { scopeOf, type OldRow, type QuarantinedCallback, type Size } from '../quarantine.js'
import { keyOf, type ClaimRecord, type Delivery } from '../records.js'
import type { DailyCount } from '../store.js'
import { cellsOf, readInto, type Row } from './columns.js'
import { Unreadable, unreadableIn } from './decoding.js'
import {
  bodyOf,
  claimColumns,
  deliveryColumns,
  differsOf,
  issuesOf,
  listingColumns,
  placeColumns,
  quarantineColumns,
  readKey,
  type ClaimDraft,
  type DeliveryDraft,
  type QuarantineDraft,
  type QuarantineSource,
} from './tables.js'

/* What rows mean. */

export type { Row }

/** Stands for what a row will say. */
const noCallback = { status: 'pending', params: {}, extra: {}, repairs: [], scope: '', receivedAt: 0 } as const

export function toDelivery(row: Row): Delivery {
  const delivery: DeliveryDraft = {
    event: 'pending',
    reversal: false,
    sequence: 0,
    state: 'waiting',
    attempts: 0,
    holds: 0,
    dueAt: 0,
    callback: noCallback,
    log: [],
  }
  return readInto('deliveries', deliveryColumns, row, delivery)
}

const noClaim = { id: '', identity: '', scope: '', status: 'pending', goal: false, repeats: {} } as const

export function toRecord(row: Row, deliveries: readonly Delivery[]): ClaimRecord {
  const claim: ClaimDraft = { ...noClaim, deliveries }
  return readInto('claims', claimColumns, row, claim)
}

/** Which order a claim is of. */
export function toPlace(row: Row): Pick<ClaimRecord, 'identity' | 'order' | 'scope'> {
  const claim: ClaimDraft = { ...noClaim, deliveries: [] }
  const { identity, order, scope } = readInto('claims', placeColumns, row, claim)
  return { identity, ...(order !== undefined && { order }), scope }
}

/** What a row takes besides its texts when it comes: in indexes, and for what its log will say. */
const bytesPerRow = 1_024
/** A key that it is found by takes so much, in a table or an index of its own. */
const bytesPerKey = 64

/** `forms` are what it is found by. */
export function quarantineSource(quarantined: QuarantinedCallback, forms: ReadonlySet<string>): QuarantineSource {
  const body = bodyOf(quarantined)
  const texts = [scopeOf(quarantined), body, issuesOf(quarantined) ?? '', differsOf(quarantined) ?? '']
  const bytes = texts.reduce((sum, each) => sum + Buffer.byteLength(each), bytesPerRow + bytesPerKey * forms.size)
  return { quarantined, body, bytes }
}

export function toQuarantined(row: Row): QuarantinedCallback {
  const draft: QuarantineDraft = {
    id: '',
    kind: 'conflict',
    state: 'done',
    scope: '',
    receivedAt: 0,
    lastAt: 0,
    count: 0,
    log: [],
  }
  const kept = quarantinedOf(readInto('quarantine', quarantineColumns, row, draft))
  if (kept === undefined) throw unreadableIn('quarantine', 'kind', new Unreadable())
  return kept
}

/** Undefined where what was read is of neither kind. */
function quarantinedOf(draft: QuarantineDraft): QuarantinedCallback | undefined {
  const { id, kind, state, identity, lastAt, count, log, code, issues, received, differs, callback } = draft
  const shared = { id, lastAt, count, log }
  if (kind === 'conflict') {
    if (state !== 'conflict' && state !== 'done') return undefined
    if (!identity || !differs || !callback) return undefined
    return { kind, ...shared, state, identity, differs, callback }
  }
  if (state === 'conflict' || !code || !issues || !received) return undefined
  const { scope, receivedAt } = draft
  const ofClaim = identity !== undefined && { identity }
  return { kind, ...shared, ...ofClaim, state, code, issues, received, scope, receivedAt }
}

/** How many rows, and their bytes. */
export function toSize(row: Row | undefined): Size {
  return { rows: Number(row?.rows ?? 0), bytes: Number(row?.bytes ?? 0) }
}

export function toOldRow(row: Row): OldRow {
  return { number: Number(row.number), receivedAt: Number(row.received_at), bytes: Number(row.bytes) }
}

/** The deliveries of a record whose rows are to be written, and the keys that are gone. */
export function changedDeliveries(before: ClaimRecord | undefined, after: ClaimRecord) {
  const known = new Set(before && isListedAlike(before, after) ? before.deliveries : [])
  const keys = new Set(after.deliveries.map(keyOf))
  return {
    changed: after.deliveries.filter((delivery) => !known.has(delivery)),
    gone: (before?.deliveries ?? []).map(keyOf).filter((key) => !keys.has(key)),
  }
}

function isListedAlike(before: ClaimRecord, after: ClaimRecord): boolean {
  const old = cellsOf(listingColumns, { record: before })
  return cellsOf(listingColumns, { record: after }).every((cell, index) => cell === old[index])
}

/** The delivery whose row is there and has the same callback. */
export function writtenBefore(
  before: ClaimRecord | undefined,
  { callback, event, reversal }: Delivery,
): Delivery | undefined {
  return before?.deliveries.find(
    (known) => known.callback === callback && known.event === event && known.reversal === reversal,
  )
}

export function toDailyCount(row: Row): DailyCount {
  return { day: Number(row.day), event: readKey(row.event_key).event, count: Number(row.count) }
}

export function text(cell: unknown): string {
  if (typeof cell !== 'string') throw new TypeError('a column is not a text')
  return cell
}

export function optional(cell: unknown): number | undefined {
  return cell === null ? undefined : Number(cell)
}
