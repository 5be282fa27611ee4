import type { StoredCount } from '../store.js'
import type { Tally } from '../tally.js'
import type { Queryable } from './postgres-client.js'
import { text, toDailyCount } from './rows.js'

/** The number of slots that processes use for their grouped commits; the other slots are for transactions beside those. */
const groupSlots = 16
const allSlots = 64

/** The slot of statements that count what they remove. There is one, so that two transactions lock rows in the same order. */
const slotOfRemoved = allSlots

/** The slot of a process for its grouped commits. */
export function slotOfGroup(): number {
  return Math.floor(Math.random() * groupSlots)
}

/** A slot for a single transaction. Many run at a time, and those with the same slot wait for each other. */
export function slotOfOne(): number {
  return groupSlots + Math.floor(Math.random() * (allSlots - groupSlots))
}

/**
 * Counts changes in their own transactions, so that nobody has to count rows. A counter is the sum of several rows, the slots, so that
 * transactions seldom wait for each other. A single row may be negative.
 */
export class PostgresCounters {
  readonly #schema: string

  constructor(schema: string) {
    this.#schema = schema
  }

  /** Writes all rows in one statement and in one order, so that two transactions cannot deadlock. */
  async add(client: Queryable, { sums, days }: Tally, slot: number): Promise<void> {
    if (sums.length === 0 && days.length === 0) return
    const byDay = `WITH by_day AS (
         INSERT INTO ${this.#schema}.days AS d (day, event_key, slot, count)
         SELECT day, event_key, $1, count FROM unnest($4::integer[], $5::text[], $6::bigint[]) AS v (day, event_key, count)
         ON CONFLICT (day, event_key, slot) DO UPDATE SET count = d.count + excluded.count
       )`
    const ofDays = [days.map(({ day }) => day), days.map(({ event }) => event), days.map(({ count }) => count)]
    await client.query(
      `${days.length > 0 ? byDay : ''}
       INSERT INTO ${this.#schema}.counters AS c (name, slot, value)
       SELECT name, $1, value FROM unnest($2::text[], $3::bigint[]) AS v (name, value)
       ON CONFLICT (name, slot) DO UPDATE SET value = c.value + excluded.value`,
      [slot, sums.map(([name]) => name), sums.map(([, sum]) => sum), ...(days.length > 0 ? ofDays : [])],
    )
  }

  /** A statement that counts rows which left the quarantine; `rows` gives their kinds and bytes. */
  less(rows: string): string {
    const each = (what: string, value: string): string =>
      `SELECT 'quarantine.' || kind || '.${what}' AS name, ${String(slotOfRemoved)} AS slot, -${value} AS value FROM ${rows} GROUP BY kind`
    return `INSERT INTO ${this.#schema}.counters AS c (name, slot, value) ${each('bytes', 'sum(bytes)')} UNION ALL ${each('rows', 'count(*)')}
       ON CONFLICT (name, slot) DO UPDATE SET value = c.value + excluded.value`
  }

  async days(client: Queryable, since: number): Promise<readonly StoredCount[]> {
    const { rows } = await client.query(
      `SELECT day, event_key, sum(count) AS count FROM ${this.#schema}.days WHERE day >= $1 GROUP BY day, event_key`,
      [since],
    )
    return rows.map(toDailyCount)
  }

  /** All counters by name. */
  async read(client: Queryable): Promise<ReadonlyMap<string, number>> {
    const { rows } = await client.query(`SELECT name, sum(value) AS value FROM ${this.#schema}.counters GROUP BY name`)
    return new Map(rows.map(({ name, value }) => [text(name), Number(value)]))
  }
}
