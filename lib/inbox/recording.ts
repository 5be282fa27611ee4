import type { Callback } from '../callback/conversion.js'
import { belongsTo, differences, ledgerDifferences, type Belonging, type Difference } from './claims.js'
import { decide, previousOf, type Outcome, type Previous } from './ledger.js'
import { conflictOf, type ConflictRecord } from './quarantine.js'
import { applyDecision, type ClaimRecord, type DeliveryKey } from './records.js'

/** What a callback makes of the claims of its identity. */
export type Recording =
  | {
      readonly outcome: Exclude<Outcome, 'refused' | 'conflict'>
      readonly record: ClaimRecord
      /** The deliveries that it asked for. */
      readonly keys: readonly DeliveryKey[]
      /** What was recorded of the claim before; absent for a new one. */
      readonly before?: ClaimRecord
    }
  | { readonly outcome: 'conflict'; readonly conflict: ConflictRecord; readonly contradiction: Contradiction }

/** What `onConflict` is told besides the callback. */
export interface Contradiction {
  /** The id of what a person may replay: the callback in quarantine, or the refused delivery. */
  readonly id: string
  readonly recorded: Previous
  readonly differs: readonly Difference[]
}

/**
 * Records a callback by rows 1 to 6 and the ledger's table. `holder` is the claim that has the order. Only a callback of a claim's own
 * people makes an event of it: one that leaves an address out or states one more, and that would take a reward back or bring a goal, is a
 * conflict. Pure.
 */
export function recordIn(
  claims: readonly ClaimRecord[],
  holder: string | undefined,
  identity: string,
  callback: Callback,
): Recording {
  const belonging = belongsTo(callback, identity, claims, holder)
  if ('conflictWith' in belonging) {
    const { conflictWith } = belonging
    return conflicting(identity, callback, conflictWith, differences(conflictWith, callback))
  }
  const before = 'recorded' in belonging ? belonging.recorded : undefined
  const decision = decide(before, callback)
  const { outcome } = decision
  if (before !== undefined && outcome === 'conflict') {
    return conflicting(identity, callback, before, ledgerDifferences(before, callback))
  }
  if (before !== undefined && isOfOthers(belonging) && decision.events.length > 0) {
    return conflicting(identity, callback, before, differences(before, callback), before.id)
  }
  if (outcome === 'conflict') throw new Error('Nothing contradicts a claim that is new.')
  // What somebody else says of a claim that has the order teaches nothing.
  const learnt = belonging.row === 2 ? { ...decision, next: belonging.recorded } : decision
  const { record, keys } = applyDecision(belonging.head, before, callback, learnt)
  return { outcome, record, keys, ...(before && { before }) }
}

function isOfOthers({ row }: Belonging): boolean {
  return row === 2 || row === 5
}

/**
 * What a conflict makes of the claim that it agrees with once a person has decided that it is of it: a fail takes the reward back, the goal is its
 * goal. Undefined where it contradicts that claim by now. Pure.
 */
export function recordDecided(recorded: ClaimRecord, callback: Callback): ClaimRecord | undefined {
  const decision = decide(recorded, callback)
  if (decision.outcome === 'conflict') return undefined
  return applyDecision(recorded, recorded, callback, decision).record
}

function conflicting(
  identity: string,
  callback: Callback,
  claim: ClaimRecord,
  differs: readonly Difference[],
  ofClaim?: string,
): Recording {
  const conflict = conflictOf(identity, callback, differs, ofClaim)
  return { outcome: 'conflict', conflict, contradiction: { id: conflict.id, recorded: previousOf(claim), differs } }
}
