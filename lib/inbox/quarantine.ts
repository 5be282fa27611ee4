import type { Callback } from '../callback/conversion.js'
import type { Received } from '../callback/received.js'
import type { ConversionErrorCode, Issue } from '../errors.js'
import type { LogEntry } from './records.js'
import type { Difference } from './vocabulary.js'
import { hashOf } from '../util/hash-of.js'

/* Refused callbacks and conflicts: what is kept of them, what a repeat changes, and which are dropped when there are too many. Pure. */

interface Quarantined {
  readonly id: string
  /** The identity under which a replay has recorded the callback. */
  readonly identity?: string
  /** How often the same content came, the first time included. */
  readonly count: number
  /** When the same content came last, in milliseconds since 1970. */
  readonly lastAt: number
  readonly log: readonly LogEntry[]
}

/** A refused callback, as it was received. */
export interface RefusedRecord extends Quarantined {
  readonly kind: 'refused'
  /** `waiting` after a replay, until a process with handlers has checked the callback again; `done` if that process recorded it. */
  readonly state: 'refused' | 'waiting' | 'done'
  readonly code: ConversionErrorCode
  readonly issues: readonly Issue[]
  readonly received: Received
  readonly scope: string
  /** When the content came first, in milliseconds since 1970. */
  readonly receivedAt: number
}

/** A valid callback that contradicts the claim that it belongs to. */
export interface ConflictRecord extends Quarantined {
  readonly kind: 'conflict'
  /** `done` after a replay has recorded the conflict, for the claim that it agrees with or as a new claim. */
  readonly state: 'conflict' | 'done'
  readonly identity: string
  /** The parameters that differed from the claim when the conflict came first. */
  readonly differs: readonly Difference[]
  readonly callback: Callback
}

/** A callback that is kept and not delivered. */
export type QuarantinedCallback = RefusedRecord | ConflictRecord

export type QuarantineKind = QuarantinedCallback['kind']

export const quarantineKinds: readonly QuarantineKind[] = ['refused', 'conflict']
export const quarantineStates: readonly QuarantinedCallback['state'][] = ['refused', 'conflict', 'waiting', 'done']

const maxIssues = 20

type Refusal = Pick<RefusedRecord, 'code' | 'issues' | 'received' | 'scope' | 'receivedAt'>

/** Makes the record of a refused callback. The same content in the same scope gets the same id. */
export function refusedOf({ received, issues, ...refusal }: Refusal): RefusedRecord {
  return {
    kind: 'refused',
    id: `refused:${hashOf([contentOf(refusal.scope, received)])}`,
    state: 'refused',
    ...refusal,
    issues: issues.slice(0, maxIssues),
    received: { ...received, issues: received.issues.slice(0, maxIssues) },
    count: 1,
    lastAt: refusal.receivedAt,
    log: [],
  }
}

/** Everything that a replay depends on. Equal pairs are not enough: damaged encodings and values that are no strings may look the same. */
function contentOf(scope: string, { pairs, issues, untyped = {}, digest }: Received): string {
  const ofIssues = issues.map(({ parameter = '', rule }) => [parameter, rule])
  // JSON escapes a lone surrogate; UTF-8 would replace all lone surrogates by the same character.
  return JSON.stringify([scope, pairs, ofIssues, Object.entries(untyped), digest?.hash])
}

/** Separates, in the id of a conflict that agrees with a claim, the claim's id from the hash of the content. */
const ofClaim = ':conflict:of:'

/**
 * Makes the record of a conflict. The same content gets the same id. `claim` is the one claim that the conflict agrees with, and part of the
 * id: with another claim the same content is another conflict, since a person decides about the reward of one claim.
 */
export function conflictOf(
  identity: string,
  callback: Callback,
  differs: readonly Difference[],
  claim?: string,
): ConflictRecord {
  const { status, params, receivedAt } = callback
  const content = Object.entries({ ...params, conversion: status }).sort(([a], [b]) => (a < b ? -1 : 1))
  const subject = claim === undefined ? `${identity}:conflict:` : claim + ofClaim
  const id = subject + hashOf([JSON.stringify(content)]).slice(0, 16)
  return { kind: 'conflict', id, state: 'conflict', identity, differs, callback, count: 1, lastAt: receivedAt, log: [] }
}

/** The claim that a conflict agrees with, for which a replay records it; undefined if there is none, or several. */
export function claimOfConflict(id: string): string | undefined {
  const end = id.lastIndexOf(ofClaim)
  return end === -1 ? undefined : id.slice(0, end)
}

/** A conflict without the recorded values that are personal. Only these mention the erased person, so the conflict itself stays replayable. */
export function withoutRecorded(
  conflict: ConflictRecord,
  isPersonal: (difference: Difference) => boolean,
): ConflictRecord {
  const differs = conflict.differs.map((difference) => {
    const { recorded: _recorded, ...received } = difference
    return isPersonal(difference) ? received : difference
  })
  return { ...conflict, differs }
}

/** The row to keep when a callback comes: the callback or, if the same content is kept already, that row with its count increased. */
export function keptWith(kept: QuarantinedCallback | undefined, callback: QuarantinedCallback): QuarantinedCallback {
  if (kept === undefined) return callback
  const counted = { ...kept, count: kept.count + 1, lastAt: callback.lastAt }
  // A callback that waits is about to be checked again, and one that is done was recorded: both keep the reason of their first refusal.
  if (counted.kind !== 'refused' || callback.kind !== 'refused' || counted.state !== 'refused') return counted
  return { ...counted, code: callback.code, issues: callback.issues }
}

export function receivedAtOf(quarantined: QuarantinedCallback): number {
  return quarantined.kind === 'refused' ? quarantined.receivedAt : quarantined.callback.receivedAt
}

export function scopeOf(quarantined: QuarantinedCallback): string {
  return quarantined.kind === 'refused' ? quarantined.scope : quarantined.callback.scope
}

/** How many conflicts of an identity are shown. */
export const maxConflicts = 100
/** How many rows of each kind one transaction drops at most: callbacks that are being recorded wait for it. */
export const maxGivingWay = 1_000

/** How many rows there are or may be, and how many bytes they take. */
export interface Size {
  readonly rows: number
  readonly bytes: number
}

const mebibyte = 1_048_576

/** The budget of refused callbacks; conflicts have another one of the same size. */
export const durableBudget: Size = { rows: 10_000, bytes: 64 * mebibyte }
export const memoryBudget: Size = { rows: 1_000, bytes: 8 * mebibyte }

export const maxAgeMs = 30 * 86_400_000

/** Whether a row counts as dropped, even if the store has not removed it yet: the same content then gets a new row. */
export function isTooOld(quarantined: QuarantinedCallback, now: number): boolean {
  return quarantined.state !== 'waiting' && receivedAtOf(quarantined) < now - maxAgeMs
}

export function isOver(size: Size, budget: Size): boolean {
  return size.rows > budget.rows || size.bytes > budget.bytes
}

/** Whether another callback may wait after a replay. Waiting ones are never dropped, so they get half of the budget, new callbacks the rest. */
export function mayWait({ rows, bytes }: Size, budget: Size): boolean {
  return rows < budget.rows / 2 && bytes < budget.bytes / 2
}

/** A row that could be dropped. */
export interface OldRow {
  readonly number: number
  readonly receivedAt: number
  readonly bytes: number
}

/** A hundredth of the budget: a full quarantine drops that much at once, so that stores rarely have to measure it. */
function stepOf({ rows, bytes }: Size): Size {
  return { rows: Math.floor(rows / 100), bytes: Math.floor(bytes / 100) }
}

/** Which of the oldest rows of a kind are dropped, and the size without them. */
export function givingWay(size: Size, oldest: readonly OldRow[], budget: Size, now: number) {
  const step = stepOf(budget)
  const goal = isOver(size, budget) ? { rows: budget.rows - step.rows, bytes: budget.bytes - step.bytes } : budget
  const numbers: number[] = []
  let { rows, bytes } = size
  for (const row of oldest) {
    if (row.receivedAt >= now - maxAgeMs && !isOver({ rows, bytes }, goal)) break
    numbers.push(row.number)
    rows--
    bytes -= row.bytes
  }
  return { numbers, size: { rows, bytes } }
}

const lookEveryMs = 3_600_000

/**
 * Decides when a store measures its quarantine: counting all rows with each callback would be slow. The store measures when the rows added
 * since the last time may exceed the budget, after each hundredth of the budget because other processes add rows too, and every hour.
 */
export class QuarantineWatch {
  readonly #budget: Size
  /** What may be added before the store measures; less than nothing at first, so that it measures at once. */
  readonly #room = { refused: { rows: -1, bytes: -1 }, conflict: { rows: -1, bytes: -1 } }
  #lookedAt = -Infinity

  constructor(budget: Size) {
    this.#budget = budget
  }

  /** Called when a row was added. */
  spend(kind: QuarantineKind, bytes: number): void {
    this.#room[kind].rows--
    this.#room[kind].bytes -= bytes
  }

  /** Whether the store measures now; always true before the first time. */
  isDue(kind: QuarantineKind): boolean {
    const { rows, bytes } = this.#room[kind]
    return rows < 0 || bytes < 0
  }

  /** Called after a measurement, with the size after rows were dropped. */
  looked(kind: QuarantineKind, { rows, bytes }: Size): void {
    const step = stepOf(this.#budget)
    this.#room[kind] = {
      rows: Math.min(step.rows, this.#budget.rows - rows),
      bytes: Math.min(step.bytes, this.#budget.bytes - bytes),
    }
  }

  /** True once an hour, since rows become too old even when no new ones come. `now` is a monotonic time. */
  isHourOver(now: number): boolean {
    if (now - this.#lookedAt < lookEveryMs) return false
    this.#lookedAt = now
    return true
  }
}
