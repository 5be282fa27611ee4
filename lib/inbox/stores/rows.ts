import { orderIdOf } from '../claims.js'
import { receivedAtOf, scopeOf, type OldRow, type QuarantinedCallback, type Size } from '../quarantine.js'
import { keyOf, lacksPayload, type ClaimRecord, type Delivery, type DeliveryKey } from '../records.js'
import type { Listed, Settled, StoredCount, StoredDelivery, Unread, UnreadRow } from '../store.js'
import { isOfStoredValue } from '../store.js'
import type { Cell, Column } from './columns.js'
import { Unreadable, unreadableIn } from './decoding.js'
import {
  decodeCallback,
  decodeReceived,
  encodeCallback,
  encodeDiffers,
  encodeIssues,
  encodeReceived,
} from './stored.js'
import type { DeliveryRow, ListedBy, QuarantineRow } from './tables.js'
import { claimColumns, deliveryColumns, placeColumns, quarantineColumns, readKey } from './tables.js'

/* Writes rows by the columns of a table, reads them, and says what they mean. */

export type Row = Readonly<Record<string, unknown>>

export function cellOf<Source>({ field, encode }: Column<Source>, row: Source): Cell {
  const value = row[field]
  if (value === undefined) return null
  // `columnsOf` has checked that the field's type is that of the column.
  return (encode === undefined ? (value as Cell) : encode(value as never)) ?? null
}

export function cellsOf<Source>(columns: readonly Column<Source>[], row: Source): Cell[] {
  return columns.map((column) => cellOf(column, row))
}

/** Reads cells into `to`. Throws a coded error for a cell that cannot be read; it names the column, and nothing of its content. */
function readInto<To extends object>(table: string, columns: readonly Column<never>[], row: Row, to: To): To {
  const fields = to as Record<string, unknown>
  let reading = ''
  try {
    for (const { name, field, decode, isNullable } of columns) {
      const cell = row[name]
      if (decode === undefined || (isNullable && cell === null)) continue
      reading = name
      fields[field] = decode(cell)
    }
  } catch (error) {
    throw error instanceof Unreadable ? unreadableIn(table, reading, error) : error
  }
  return to
}

/** Placeholders until the cells are read. */
const noCallback = { status: 'pending', params: {}, extra: {}, repairs: [], scope: '', receivedAt: 0 } as const
const noDelivery = { sequence: 0, state: 'waiting', attempts: 0, holds: 0, dueAt: 0, callback: noCallback } as const

export function toDelivery(row: Row): Delivery {
  const draft = { ...noDelivery, key: 'pending' as DeliveryKey, log: [] }
  const { key, ...delivery } = readInto('deliveries', deliveryColumns, row, draft)
  return { ...delivery, ...ofKey(key) }
}

function ofKey(key: DeliveryKey): Pick<Delivery, 'event' | 'reversal'> {
  return key === 'reversal' ? { event: 'fail', reversal: true } : { event: key, reversal: false }
}

/** A delivery as it is written. `claim` is the claim's id; in SQLite its number. */
export function deliveryRow(claim: string | number, delivery: Delivery, record: ClaimRecord): DeliveryRow {
  const { callback } = delivery
  const { receivedAt } = callback
  const isEmptied = lacksPayload(callback)
  return { ...delivery, claim, key: keyOf(delivery), receivedAt, isEmptied, ...listedBy(record) }
}

function listedBy(record: ClaimRecord): ListedBy {
  const { scope, referrerEmail, refereeEmail } = record
  return { scope, orderId: orderIdOf(record), referrerEmail, refereeEmail }
}

const noClaim = { id: '', identity: '', scope: '', status: 'pending', goal: false, repeats: {} } as const

export function toRecord(row: Row, deliveries: readonly Delivery[]): ClaimRecord {
  return readInto('claims', claimColumns, row, { ...noClaim, deliveries })
}

/** Which order a claim is of. */
function toPlace(row: Row): Pick<ClaimRecord, 'identity' | 'order' | 'scope'> {
  return readInto('claims', placeColumns, row, { identity: '', scope: '' })
}

/** The bytes of a new row besides its strings: for indexes, and for its later log. */
const bytesPerRow = 1_024
/** The bytes of each key that a search finds a row by. */
const bytesPerKey = 64

/** A callback in quarantine as it is written for the first time. `forms` are the keys that searches find it by. */
export function quarantineRow(quarantined: QuarantinedCallback, forms: ReadonlySet<string>): QuarantineRow {
  const isRefused = quarantined.kind === 'refused'
  const scope = scopeOf(quarantined)
  const body = isRefused ? encodeReceived(quarantined.received) : encodeCallback(quarantined.callback)
  const why = isRefused ? encodeIssues(quarantined.issues) : encodeDiffers(quarantined.differs)
  const bytes = bytesPerRow + bytesPerKey * forms.size + Buffer.byteLength(scope + body + why)
  return { ...quarantined, scope, receivedAt: receivedAtOf(quarantined), body, bytes }
}

const noQuarantine = { id: '', kind: 'conflict', state: 'done', scope: '', receivedAt: 0, lastAt: 0, count: 0 } as const

export function toQuarantined(row: Row): QuarantinedCallback {
  const draft = readInto('quarantine', quarantineColumns, row, { ...noQuarantine, log: [], bytes: 0, body: '' })
  const kept = quarantinedOf(draft)
  if (kept === undefined) throw unreadableIn('quarantine', 'kind', new Unreadable())
  return kept
}

/** Undefined if the row is a complete callback of neither kind. */
function quarantinedOf(row: QuarantineRow): QuarantinedCallback | undefined {
  const { id, kind, state, identity, lastAt, count, log, code, issues, differs } = row
  const shared = { id, lastAt, count, log }
  if (kind === 'conflict') {
    if (state !== 'conflict' && state !== 'done') return undefined
    if (!identity || !differs) return undefined
    return { kind, ...shared, state, identity, differs, callback: decodedBody(row, decodeCallback) }
  }
  if (state === 'conflict' || !code || !issues) return undefined
  const { scope, receivedAt } = row
  const received = decodedBody(row, decodeReceived)
  return {
    kind,
    ...shared,
    ...(identity !== undefined && { identity }),
    state,
    code,
    issues,
    received,
    scope,
    receivedAt,
  }
}

function decodedBody<Body>({ body }: QuarantineRow, decode: (text: string) => Body): Body {
  try {
    return decode(body)
  } catch (error) {
    throw error instanceof Unreadable ? unreadableIn('quarantine', 'body', error) : error
  }
}

/** How many rows, and their bytes. */
export function toSize(row: Row | undefined): Size {
  return { rows: Number(row?.rows ?? 0), bytes: Number(row?.bytes ?? 0) }
}

export function toSettled(row: Row): Settled {
  return { at: Number(row.settled_at), number: Number(row.number) }
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
  const [one, other] = [listedBy(before), listedBy(after)]
  return (Object.keys(one) as (keyof ListedBy)[]).every((field) => one[field] === other[field])
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

export function toDailyCount(row: Row): StoredCount {
  return { day: Number(row.day), event: eventIn(row.event_key), count: Number(row.count) }
}

function eventIn(cell: unknown): StoredCount['event'] {
  try {
    return ofKey(readKey(cell)).event
  } catch {
    return undefined
  }
}

/** The claim that `read` returns; with only its id if a stored value of the claim cannot be read. */
export function toListedRecord(claim: string, read: () => ClaimRecord): ClaimRecord | Unread {
  try {
    return read()
  } catch (error) {
    if (!isOfStoredValue(error)) throw error
    return { id: claim, unread: error }
  }
}

/** A delivery in a listing; `deliveryOf` reads the times by the store's clock. */
export function toListedDelivery(row: Row, claim: string, deliveryOf = toDelivery): Listed<StoredDelivery> {
  try {
    return { claim, ...toPlace(row), delivery: deliveryOf(row) }
  } catch (error) {
    return unreadRow(row, `${claim}:${text(row.event_key)}`, 'delivery', error)
  }
}

/** A quarantined callback in a listing. */
export function toListedQuarantined(row: Row): Listed<QuarantinedCallback> {
  try {
    return toQuarantined(row)
  } catch (error) {
    const id = text(row.id)
    return unreadRow(row, id, id.startsWith('refused:') ? 'refused' : 'conflict', error)
  }
}

function unreadRow(row: Row, id: string, kind: UnreadRow['kind'], error: unknown): UnreadRow {
  if (!isOfStoredValue(error)) throw error
  const scope = typeof row.scope === 'string' ? row.scope : ''
  return { id, kind, scope, receivedAt: toTime(row.received_at), unread: error }
}

/** A time by which rows are listed. SQLite can hold a string there, and lists it first. */
export function toTime(cell: unknown): number {
  const time = Number(cell)
  return Number.isFinite(time) ? time : Infinity
}

export function text(cell: unknown): string {
  if (typeof cell !== 'string') throw new TypeError('a column is not a text')
  return cell
}

export function idsOf(rows: readonly Row[]): readonly string[] {
  return rows.map(({ id }) => text(id))
}

export function optional(cell: unknown): number | undefined {
  return cell === null ? undefined : Number(cell)
}
