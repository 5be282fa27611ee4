import { fieldsOfQuery, requireWholeNumber } from './queries.js'
import type { Store, StoredCount } from '../store.js'
import type { DayCounts, InboxStats, Operators } from '../operators.js'

const dayMs = 86_400_000
const maxDays = 366

/** `stats` over any store. */
export function statistician(store: Store): Operators['stats'] {
  return async (options): Promise<InboxStats> => {
    const { days } = fieldsOfQuery(options, ['days'])
    if (days !== undefined) requireWholeNumber('days', days, maxDays)
    const now = Date.now()
    const firstDay = days === undefined ? undefined : Math.floor(now / dayMs) - days + 1
    const [callbacks, deliveries, oldest, daily] = await Promise.all([
      store.callbackCounts(),
      store.deliveryCounts(),
      store.oldestWaitingAt(),
      firstDay === undefined ? undefined : store.dailyCounts(firstDay),
    ])
    return {
      callbacks,
      deliveries,
      oldestWaitingMs: oldest === undefined ? 0 : Math.max(0, now - oldest),
      ...(daily && firstDay !== undefined && { perDay: perDay(daily, firstDay, days ?? 1) }),
    }
  }
}

function perDay(daily: readonly StoredCount[], firstDay: number, days: number): readonly DayCounts[] {
  const counts = Array.from({ length: days }, (_, index): { -readonly [Name in keyof DayCounts]: DayCounts[Name] } => ({
    day: new Date((firstDay + index) * dayMs).toISOString().slice(0, 10),
    success: 0,
    fail: 0,
    pending: 0,
  }))
  for (const { day, event, count } of daily) {
    const counted = counts[day - firstDay]
    if (counted === undefined || event === 'goalComplete') continue
    if (event === undefined) counted.unreadable = (counted.unreadable ?? 0) + count
    else counted[event] += count
  }
  return counts
}
