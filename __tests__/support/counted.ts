import type { Inbox } from '../../lib/index.js'

/** Runs a query on the tables of an inbox. `sql` gets the schema or prefix with which their names begin. */
export type Ask = (sql: (prefix: string) => string) => Promise<readonly Readonly<Record<string, unknown>>[]>

/** The counts that `stats` returns, and the counts of the rows. Both must be equal, since a transaction writes rows and counters together. */
export async function counted(inbox: Inbox, ask: Ask) {
  const days = 3
  const { callbacks, deliveries, perDay = [] } = await inbox.stats({ days })
  const rows = await ask(
    (prefix) => `
    SELECT CASE WHEN state = 'waiting' AND (held_until IS NOT NULL OR holds > 0) THEN 'held' ELSE state END AS state,
      event_key, received_at / 86400000 AS day, count(*) AS n FROM ${prefix}deliveries GROUP BY 1, 2, 3`,
  )
  const none = { waiting: 0, held: 0, running: 0, done: 0, dead: 0, withdrawn: 0, refused: 0 }
  const states: Record<string, number> = { ...none }
  const dates = Object.fromEntries(perDay.map(({ day }) => [day, { day, success: 0, fail: 0, pending: 0 }]))
  for (const { state, event_key: key, day, n } of rows) {
    states[String(state)] = (states[String(state)] ?? 0) + Number(n)
    const date = dates[new Date(Number(day) * 86_400_000).toISOString().slice(0, 10)]
    const status = key === 'reversal' ? 'fail' : String(key)
    if (date && status in date) date[status as 'success'] += Number(n)
  }
  const repeats = { duplicate: 0, stale: 0 }
  for (const { repeats: text } of await ask(
    (prefix) => `SELECT repeats FROM ${prefix}claims WHERE repeats IS NOT NULL`,
  )) {
    const found = JSON.parse(String(text)) as Partial<Record<keyof typeof repeats, { readonly count: number }>>
    repeats.duplicate += found.duplicate?.count ?? 0
    repeats.stale += found.stale?.count ?? 0
  }
  const kept = await ask(
    (prefix) => `SELECT kind, count(*) AS n, sum(bytes) AS bytes FROM ${prefix}quarantine GROUP BY kind`,
  )
  const counters = await ask(
    (prefix) => `SELECT name, sum(value) AS value FROM ${prefix}counters WHERE name LIKE 'quarantine.%' GROUP BY name`,
  )
  const valueOf = (name: string) => Number(counters.find((each) => each.name === name)?.value ?? 0)
  const kinds = ['refused', 'conflict'] as const
  const quarantine = kinds.map((kind) => [valueOf(`quarantine.${kind}.rows`), valueOf(`quarantine.${kind}.bytes`)])
  const keptOf = (kind: string) => kept.find((each) => each.kind === kind)
  return {
    says: { deliveries, perDay, quarantine, repeats: { duplicate: callbacks.duplicate, stale: callbacks.stale } },
    is: {
      deliveries: states,
      perDay: Object.values(dates),
      repeats,
      quarantine: kinds.map((kind) => [Number(keptOf(kind)?.n ?? 0), Number(keptOf(kind)?.bytes ?? 0)]),
    },
  }
}
