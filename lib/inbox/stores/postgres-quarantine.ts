import type { ConflictRecord, QuarantinedCallback, QuarantineKind, Size } from '../quarantine.js'
import {
  givingWay,
  isTooOld,
  keptWith,
  maxConflicts,
  maxGivingWay,
  quarantineKinds,
  quarantineStates,
  QuarantineWatch,
} from '../quarantine.js'
import { searchForms, searchKey, searchKeys, soughtForms } from '../search.js'
import type { QuarantineSelection, Listed } from '../store.js'
import { all, assignExcluded, everything, is, isOfScope, withNumbers } from './sql.js'
import { sizeIn, Tally } from '../tally.js'
import { PostgresCounters, slotOfOne } from './postgres-counters.js'
import type { Queryable } from './postgres-client.js'
import type { Connections } from './postgres-connections.js'
import { newestOf, arraysOf } from './postgres-sql.js'
import { columnsOf, namesOf, text as aText } from './columns.js'
import { idsOf, quarantineRow, toListedQuarantined, toOldRow, toQuarantined, toSize } from './rows.js'
import { changingQuarantineColumns, quarantineColumns, type QuarantineRow } from './tables.js'

type Rows = ReadonlyMap<string, QuarantinedCallback>

/** What a row is found by, as PostgreSQL spells an array. */
interface Keys {
  readonly keys: string
}
const keysColumn = columnsOf<Keys>()('keys', 'keys', aText, { isWrittenOnly: true })

/** The quarantine of the PostgreSQL store. */
export class PostgresQuarantine {
  readonly #budget: Size
  readonly #counters: PostgresCounters
  readonly #watch: QuarantineWatch
  readonly #table: string

  constructor(schema: string, budget: Size) {
    this.#budget = budget
    this.#watch = new QuarantineWatch(budget)
    this.#table = `${schema}.quarantine`
    this.#counters = new PostgresCounters(schema)
  }

  async find(client: Queryable, id: string): Promise<QuarantinedCallback | undefined> {
    const { rows } = await client.query(`SELECT * FROM ${this.#table} WHERE id = $1`, [id])
    return rows.map(toQuarantined).find((found) => !isTooOld(found, Date.now()))
  }

  /** Finds and locks rows, so that nobody removes them before the end of the transaction. Removes rows that are too old. */
  async lock(client: Queryable, ids: readonly string[]): Promise<Map<string, QuarantinedCallback>> {
    if (ids.length === 0) return new Map()
    const { rows } = await client.query(`SELECT * FROM ${this.#table} WHERE id = ANY($1) ORDER BY id FOR UPDATE`, [ids])
    const found = new Map(rows.map(toQuarantined).map((quarantined) => [quarantined.id, quarantined]))
    for (const [id, quarantined] of found) {
      if (!isTooOld(quarantined, Date.now())) continue
      await this.drop(client, id)
      found.delete(id)
    }
    return found
  }

  /** Keeps or counts conflicts, whose identities are locked, and writes the changes of the rows that were found. */
  async write(
    client: Queryable,
    found: Rows,
    after: Rows,
    conflicts: readonly ConflictRecord[],
    tally: Tally,
  ): Promise<void> {
    const unknown = conflicts.map(({ id }) => id).filter((id) => !after.has(id))
    const before = new Map([...found, ...(await this.lock(client, [...new Set(unknown)]))])
    const written = new Map([...before, ...after])
    for (const conflict of conflicts) written.set(conflict.id, keptWith(written.get(conflict.id), conflict))
    const sources: (QuarantineRow & Keys)[] = []
    for (const [id, quarantined] of written) {
      if (quarantined === before.get(id)) continue
      const forms = searchForms(quarantined)
      const source = quarantineRow(quarantined, forms)
      sources.push({ ...source, keys: `{${searchKeys(forms).join()}}` })
      if (before.has(id)) continue
      const { bytes } = source
      this.#watch.spend(quarantined.kind, bytes)
      tally.quarantine(quarantined.kind, { rows: 1, bytes })
    }
    if (sources.length === 0) return
    const { used, arrays, values } = arraysOf([...quarantineColumns, keysColumn], sources)
    await client.query(
      `INSERT INTO ${this.#table} (${used.join(', ')})
       SELECT ${used.map((column) => (column === 'keys' ? 'keys::bigint[]' : column)).join(', ')} FROM unnest(${arrays}) AS v (${used.join(', ')})
       ON CONFLICT (id) DO UPDATE SET ${assignExcluded(namesOf(changingQuarantineColumns))}`,
      values,
    )
    const due = quarantineKinds.filter((kind) => this.#watch.isDue(kind))
    if (due.length > 0) await this.#limit(client, due, tally)
  }

  /** Removes old rows, and those beyond the budget, once an hour, even if nothing was added. */
  async limitHourly(connections: Connections): Promise<void> {
    if (!this.#watch.isHourOver(performance.now())) return
    await connections.transaction(async (client) => {
      const tally = new Tally()
      await this.#limit(client, quarantineKinds, tally)
      await this.#counters.add(client, tally, slotOfOne())
    })
  }

  /** Runs in one process at a time, since two would remove twice as much. Other processes skip it without waiting. */
  async #limit(client: Queryable, kinds: readonly QuarantineKind[], tally: Tally): Promise<void> {
    const name = `conversion-webhook ${this.#table}`
    const { rows } = await client.query('SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0)) AS locked', [name])
    if (rows[0]?.locked !== true) return
    const counters = await this.#counters.read(client)
    for (const kind of kinds) {
      // The counters do not hold yet what this transaction adds.
      const size = sizeIn(counters, kind, tally)
      const oldest = await client.query(
        `SELECT number, received_at, bytes FROM ${this.#table} WHERE kind = $1 AND state <> 'waiting'
         ORDER BY number LIMIT ${String(maxGivingWay)}`,
        [kind],
      )
      const { numbers, size: left } = givingWay(size, oldest.rows.map(toOldRow), this.#budget, Date.now())
      if (numbers.length > 0) {
        // Skips locked rows: somebody replays them.
        const gone = await client.query(
          `DELETE FROM ${this.#table} WHERE number IN (SELECT number FROM ${this.#table}
           WHERE number = ANY($1) AND state <> 'waiting' FOR UPDATE SKIP LOCKED) RETURNING bytes`,
          [numbers],
        )
        for (const row of gone.rows) tally.quarantine(kind, { rows: -1, bytes: -Number(row.bytes) })
      }
      this.#watch.looked(kind, left)
    }
  }

  async conflicts(client: Queryable, identity: string): Promise<readonly QuarantinedCallback[]> {
    const { rows } = await client.query(
      `SELECT * FROM ${this.#table} WHERE identity = $1 ORDER BY number DESC LIMIT ${String(maxConflicts)}`,
      [identity],
    )
    return rows.map(toQuarantined).reverse()
  }

  async all(client: Queryable, after = Number.MAX_SAFE_INTEGER, limit: number) {
    const { rows } = await client.query(
      `SELECT * FROM ${this.#table} WHERE number < $1 ORDER BY number DESC LIMIT $2`,
      [after, limit],
    )
    const last = rows.at(-1)
    return { found: rows.map(toListedQuarantined), ...(last && { last: Number(last.number) }) }
  }

  async list(client: Queryable, selection: QuarantineSelection): Promise<readonly Listed<QuarantinedCallback>[]> {
    const { state, scope, before, limit } = selection
    const keys = soughtForms(selection).map(searchKey)
    const isInScope = isOfScope('scope', scope)
    const isSought = keys.length > 0
    const states = (state === undefined ? quarantineStates : [state]).map((each) => is('state', each))
    const found = newestOf({
      table: isSought ? 'sought' : this.#table,
      key: 'number',
      id: 'id COLLATE "C"',
      ways: isSought ? [everything] : states.map((isInState) => all([isInScope, isInState]) ?? everything),
      filter: isSought ? all([isInScope, is('state', state)]) : undefined,
      before,
      limit,
    })
    if (found === undefined) return []
    // A subquery of its own: keys find few rows, though PostgreSQL expects many.
    const sought = `WITH sought AS MATERIALIZED (SELECT number, id, scope, state, received_at FROM ${this.#table} WHERE keys @> ARRAY[${keys.join()}]::bigint[])`
    const { rows } = await client.query(
      `${isSought ? sought : ''} SELECT q.* FROM (${withNumbers(found)}) AS found JOIN ${this.#table} q ON q.number = found.number
       ORDER BY found.received_at DESC, found.position DESC`,
      [...found.values],
    )
    return rows.map(toListedQuarantined)
  }

  async waiting(client: Queryable, limit: number): Promise<readonly string[]> {
    const { rows } = await client.query(`SELECT id FROM ${this.#table} WHERE state = 'waiting' LIMIT $1`, [limit])
    return idsOf(rows)
  }

  async waitingSize(client: Queryable): Promise<Size> {
    const { rows } = await client.query(
      `SELECT count(*) AS rows, sum(bytes) AS bytes FROM ${this.#table} WHERE state = 'waiting'`,
    )
    return toSize(rows[0])
  }

  async drop(client: Queryable, id: string): Promise<boolean> {
    const { rows } = await client.query(
      `WITH gone AS (DELETE FROM ${this.#table} WHERE id = $1 AND state <> 'waiting' RETURNING kind, bytes),
       counted AS (${this.#counters.less('gone')})
       SELECT kind FROM gone`,
      [id],
    )
    return rows.length > 0
  }
}
