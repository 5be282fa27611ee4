import type { Lost } from './transitions.js'
import { differences } from './claims.js'
import type { InboxHost } from './inbox.js'
import { previousOf } from './ledger.js'
import { deliveryId, keyOf } from './records.js'
import type { Store } from './store.js'

/** Calls `onConflict` for each delivery that was refused because another claim has the order, with the differences between the claims. */
export async function tellLost(store: Store, lost: Lost | undefined, host: InboxHost): Promise<void> {
  if (lost === undefined) return
  for (const delivery of lost.deliveries) {
    const { callback, takenBy } = delivery
    const holder = takenBy === undefined ? undefined : await store.record(takenBy)
    if (holder === undefined) continue // the memory inbox has dropped the other claim
    const id = deliveryId(lost.claim, keyOf(delivery))
    host.onConflict({ id, callback, recorded: previousOf(holder), differs: differences(holder, callback) })
  }
}
