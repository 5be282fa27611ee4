import type { Callback } from '../callback/conversion.js'
import { belongsTo, differences, ledgerDifferences, type Difference } from './claims.js'
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

/** Records a callback by rows 1 to 6 and the ledger's table. `holder` is the claim that has the order. Pure. */
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
  if (outcome === 'conflict') {
    if (before === undefined) throw new Error('Nothing contradicts a claim that is new.')
    return conflicting(identity, callback, before, ledgerDifferences(before, callback))
  }
  const { record, keys } = applyDecision(belonging.head, before, callback, decision)
  return { outcome, record, keys, ...(before && { before }) }
}

function conflicting(
  identity: string,
  callback: Callback,
  claim: ClaimRecord,
  differs: readonly Difference[],
): Recording {
  const conflict = conflictOf(identity, callback, differs)
  return { outcome: 'conflict', conflict, contradiction: { id: conflict.id, recorded: previousOf(claim), differs } }
}
