import type { Received } from '../../lib/callback/received.js'
import { refusedOf, type RefusedRecord } from '../../lib/inbox/quarantine.js'

/** A refused callback with these parameters. */
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

/** A refused callback with a number in it, so that each number makes another one. */
export const numbered = (number: number, changes: Parameters<typeof refused>[1] = {}): RefusedRecord =>
  refused([['orderID', String(number)]], changes)
