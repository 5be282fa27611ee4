import type { Received } from '../../lib/callback/params.js'
import { refusedOf, type RefusedRecord } from '../../lib/inbox/quarantine.js'

/** A refused callback with these pairs. */
export function refused(
  pairs: Received['pairs'],
  changes: Partial<Pick<RefusedRecord, 'code' | 'issues' | 'scope' | 'receivedAt'>> & {
    readonly received?: Partial<Received>
  } = {},
): RefusedRecord {
  const { received, ...rest } = changes
  return refusedOf({
    code: 'ERR_CONVERSION_CALLBACK_REFUSED',
    issues: [],
    scope: '',
    receivedAt: Date.now(),
    ...rest,
    received: { pairs, issues: [], repairs: [], ...received },
  })
}

/** The refused callback of a number. */
export const numbered = (number: number, changes: Parameters<typeof refused>[1] = {}): RefusedRecord =>
  refused([['orderID', String(number)]], changes)
