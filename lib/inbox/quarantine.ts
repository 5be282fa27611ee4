import type { Callback } from '../callback/conversion.js'
import type { Received } from '../callback/received.js'
import type { ConversionErrorCode, Issue } from '../errors.js'
import { hashOf } from './identity.js'
import type { LogEntry } from './records.js'
import type { Difference } from './vocabulary.js'

/* Refused callbacks and conflicts: what is kept of them, what a repeat changes, and what gives way. Pure. */

interface Quarantined {
  readonly id: string
  /** What a replay made of it: the identity that it was recorded as. */
  readonly identity?: string
  /** How often the same content came, the first time included. */
  readonly count: number
  /** When it came last, in milliseconds since 1970. */
  readonly lastAt: number
  readonly log: readonly LogEntry[]
}

/** A callback that was refused, as it was received. */
export interface RefusedRecord extends Quarantined {
  readonly kind: 'refused'
  /** `waiting` after a replay, until a process with handlers has read it again; `done` when that one could. */
  readonly state: 'refused' | 'waiting' | 'done'
  readonly code: ConversionErrorCode
  readonly issues: readonly Issue[]
  readonly received: Received
  readonly scope: string
  /** When it came first, in milliseconds since 1970. */
  readonly receivedAt: number
}

/** A valid callback that contradicts the claim that it belongs to. */
export interface ConflictRecord extends Quarantined {
  readonly kind: 'conflict'
  /** `done` after a replay: it was recorded for the claim that it agrees with, or as a claim of its own. */
  readonly state: 'conflict' | 'done'
  readonly identity: string
  /** What told it from the claim when it came first. */
  readonly differs: readonly Difference[]
  readonly callback: Callback
}

/** A callback that is kept and not delivered. */
export type QuarantinedCallback = RefusedRecord | ConflictRecord

export type QuarantineKind = QuarantinedCallback['kind']

export const quarantineKinds: readonly QuarantineKind[] = ['refused', 'conflict']
export const quarantineStates = [
  'refused',
  'conflict',
  'waiting',
  'done',
] as const satisfies QuarantinedCallback['state'][]

const maxIssues = 20

type Refusal = Pick<RefusedRecord, 'code' | 'issues' | 'received' | 'scope' | 'receivedAt'>

/** The same content in the same scope has the same id, however often it is refused. */
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

/** Everything that a replay starts from: pairs that read alike may have been damaged, or no strings. */
function contentOf(scope: string, { pairs, issues, untyped = {}, digest }: Received): string {
  const ofIssues = issues.map(({ parameter = '', rule }) => [parameter, rule])
  // JSON writes half a surrogate pair out, which UTF-8 would make the same letter as any other.
  return JSON.stringify([scope, pairs, ofIssues, Object.entries(untyped), digest?.hash])
}

/** Between the id of a claim and the rest, in the id of a conflict that agrees with that claim. */
const ofClaim = ':conflict:of:'

/**
 * The same contradiction has the same id, however often it is repeated. `claim` is the one claim that it agrees with: with another claim the
 * same content is another conflict, since a person decides about the reward of one claim.
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

/** The claim that a conflict agrees with, and is recorded for when a person replays it; undefined where there is none, or several. */
export function claimOfConflict(id: string): string | undefined {
  const end = id.lastIndexOf(ofClaim)
  return end === -1 ? undefined : id.slice(0, end)
}

/** A conflict without what was recorded of a person whom it does not mention itself: somebody else's claim is to stay replayable. */
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

/** What is kept after a callback came: the callback, or the row of the same content with one more in its count. */
export function keptWith(kept: QuarantinedCallback | undefined, callback: QuarantinedCallback): QuarantinedCallback {
  if (kept === undefined) return callback
  const counted = { ...kept, count: kept.count + 1, lastAt: callback.lastAt }
  // What waits is about to be read again, and what is done was recorded: both keep the reason for their first refusal.
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
/** What gives way in one transaction, of each kind: callbacks wait for it. */
export const maxGivingWay = 1_000

/** How many rows there are or may be, and how many bytes they take. */
export interface Size {
  readonly rows: number
  readonly bytes: number
}

const mebibyte = 1_048_576

/** What refused callbacks may take, and conflicts once more. */
export const durableBudget: Size = { rows: 10_000, bytes: 64 * mebibyte }
export const memoryBudget: Size = { rows: 1_000, bytes: 8 * mebibyte }

export const maxAgeMs = 30 * 86_400_000

/** What is as good as gone, whether it was removed already or not: the same content now is a row of its own. */
export function isTooOld(quarantined: QuarantinedCallback, now: number): boolean {
  return quarantined.state !== 'waiting' && receivedAtOf(quarantined) < now - maxAgeMs
}

export function isOver(size: Size, budget: Size): boolean {
  return size.rows > budget.rows || size.bytes > budget.bytes
}

/** What waits never gives way, so it takes at most half of the budget: the other half is for what arrives. */
export function mayWait({ rows, bytes }: Size, budget: Size): boolean {
  return rows < budget.rows / 2 && bytes < budget.bytes / 2
}

/** A row that could give way. */
export interface Candidate {
  readonly number: number
  readonly receivedAt: number
  readonly bytes: number
}

/** A hundredth: when there is no room left, that much gives way at once, so that stores look seldom. */
function stepOf({ rows, bytes }: Size): Size {
  return { rows: Math.floor(rows / 100), bytes: Math.floor(bytes / 100) }
}

/** Which of the oldest rows of a kind give way, and the size without them. */
export function givingWay(size: Size, oldest: readonly Candidate[], budget: Size, now: number) {
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
 * When a store is to look at the size of its quarantine: counting all rows with each callback would be slow. It looks when what came
 * since the last look may be too much, after each hundredth of the budget because other processes add rows too, and every hour.
 */
export class QuarantineWatch {
  readonly #budget: Size
  readonly #room = new Map<QuarantineKind, { rows: number; bytes: number }>()
  #lookedAt = -Infinity

  constructor(budget: Size) {
    this.#budget = budget
  }

  /** A row was added. */
  spend(kind: QuarantineKind, bytes: number): void {
    const room = this.#room.get(kind)
    if (room === undefined) return
    room.rows--
    room.bytes -= bytes
  }

  /** Before the first look everything is due. */
  isDue(kind: QuarantineKind): boolean {
    const room = this.#room.get(kind)
    return room === undefined || room.rows < 0 || room.bytes < 0
  }

  /** What a look left. */
  looked(kind: QuarantineKind, { rows, bytes }: Size): void {
    const step = stepOf(this.#budget)
    this.#room.set(kind, {
      rows: Math.min(step.rows, this.#budget.rows - rows),
      bytes: Math.min(step.bytes, this.#budget.bytes - bytes),
    })
  }

  /** True once an hour: rows get too old while no new ones come. `now` is a monotonic time. */
  isHourOver(now: number): boolean {
    if (now - this.#lookedAt < lookEveryMs) return false
    this.#lookedAt = now
    return true
  }
}
