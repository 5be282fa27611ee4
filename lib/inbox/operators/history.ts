import { receivedAtOf, type QuarantinedCallback } from '../quarantine.js'
import { deliveryId, keyOf, type ClaimRecord } from '../records.js'
import type { HistoryEntry } from '../operators.js'

export function historyOf(
  claims: readonly ClaimRecord[],
  quarantined: readonly QuarantinedCallback[],
): readonly HistoryEntry[] {
  const entries = [...claims.flatMap(historyOfClaim), ...quarantined.flatMap(historyOfQuarantined)]
  return entries.sort((a, b) => a.at.getTime() - b.at.getTime())
}

function historyOfClaim({ id: claim, deliveries, repeats }: ClaimRecord): HistoryEntry[] {
  const ofDeliveries = deliveries.flatMap((delivery) => {
    const { event, callback, state, settledAt, takenBy, log } = delivery
    const subject = { id: deliveryId(claim, keyOf(delivery)), event }
    const code = takenBy === undefined ? {} : { code: 'ERR_CONVERSION_ORDER_TAKEN' as const }
    return [
      { at: new Date(callback.receivedAt), what: 'recorded' as const, ...subject },
      ...log.map(({ at, ...entry }) => ({ at: new Date(at), ...entry, ...subject })),
      ...(settledAt === undefined ? [] : [{ at: new Date(settledAt), what: state, ...code, ...subject }]),
    ]
  })
  const ofRepeats = (['duplicate', 'stale'] as const).flatMap((what) => {
    const counted = repeats[what]
    return counted ? [{ at: new Date(counted.lastAt), what, id: claim, count: counted.count }] : []
  })
  return [...ofDeliveries, ...ofRepeats]
}

function historyOfQuarantined(quarantined: QuarantinedCallback): HistoryEntry[] {
  const { id, kind, count, lastAt, log } = quarantined
  const code = quarantined.kind === 'refused' ? { code: quarantined.code } : {}
  return [
    { at: new Date(receivedAtOf(quarantined)), what: kind, id, ...code },
    ...(count > 1 ? [{ at: new Date(lastAt), what: kind, id, ...code, count }] : []),
    ...log.map(({ at, ...entry }) => ({ at: new Date(at), ...entry, id })),
  ]
}
