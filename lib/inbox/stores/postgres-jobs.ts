import type { Job, PgBoss } from 'pg-boss'
import { readCommitted } from './postgres-begin.js'
import type { Queryable } from './postgres-client.js'
import type { Connections } from './postgres-connections.js'

const queue = 'deliveries'
/** A process whose jobs have not been touched for so long is gone; pg-boss looks every ten seconds, and we touch every five. */
const heartbeatSeconds = 20
const superviseSeconds = 10
/** A lease must be renewed in time, and what waits is to be looked for again soon. */
const quickWithinMs = 5_000
const maintainWithinMs = 20_000
const buildWithinMs = 3_600_000
/** The server adds delays to the time at which the transaction began: none is to be over too early, which costs another transaction. */
const spareMs = 20
const freshPriority = 1
const repeatedPriority = 0
const repeatedEvery = 4
const yearSeconds = 365 * 86_400

interface JobData {
  readonly deliveryId: string
  /** An attempt that has no job any more, and whose delivery is to be taken over. */
  readonly orphan?: string
}

/** A wake-up with a lease: the right to run one delivery until it is done or we fall silent. */
export interface Ticket {
  readonly id: string
  readonly retryCount: number
  readonly deliveryId: string
  readonly orphan?: string | undefined
}

export interface WakeUp {
  readonly deliveryId: string
  /** From now on. */
  readonly delayMs: number
  /** Whether it was tried before. */
  readonly isRepeated: boolean
}

/** The owner that a delivery's row names while a ticket's attempt runs. */
export function ownerOf({ id, retryCount }: Pick<Ticket, 'id' | 'retryCount'>): string {
  return `${id}:${String(retryCount)}`
}

export function ticketOf(owner: string): Pick<Ticket, 'id' | 'retryCount'> {
  const colon = owner.lastIndexOf(':')
  return { id: owner.slice(0, colon), retryCount: Number(owner.slice(colon + 1)) }
}

/**
 * Whether the process of an attempt fell silent before a ticket was fetched: the same job came again since, or the attempt has no job any
 * more. A ticket that is looked at late says nothing of later ones. Pure.
 */
export function isLapsedBefore({ id, retryCount, orphan }: Omit<Ticket, 'deliveryId'>, owner: string): boolean {
  const other = ticketOf(owner)
  return owner === orphan || (other.id === id && other.retryCount < retryCount)
}

/**
 * The jobs of pg-boss. They are wake-ups only: which deliveries there are, and what state they are in, our own tables say. A job is made
 * and completed in the transaction that changes the delivery.
 */
export class PostgresJobs {
  readonly #boss: PgBoss
  readonly #schema: string
  readonly #quick: ReturnType<typeof adapter>
  #fetched = 0
  #isMoreThere = false
  /** Tickets whose job is ours until it is completed. */
  readonly #leased = new Map<string, Pick<Ticket, 'id' | 'retryCount'>>()

  constructor(Boss: typeof PgBoss, connections: Connections, schema: string, onError: (error: unknown) => void) {
    this.#schema = schema
    this.#quick = { executeSql: (text, values) => run(connections, quickWithinMs, text, values) }
    this.#boss = new Boss({
      db: { executeSql: (text, values) => run(connections, maintainWithinMs, text, values) },
      schema,
      createSchema: false,
      schedule: false,
      superviseIntervalSeconds: superviseSeconds,
      monitorIntervalSeconds: superviseSeconds,
      persistWarnings: false,
      registerInstance: false,
    })
    this.#boss.on('error', onError)
  }

  async start(): Promise<void> {
    await this.#boss.start()
    const options = {
      heartbeatSeconds,
      retryLimit: 1_000_000_000, // attempts are counted in our rows: a job must never fail for good
      retryDelay: 0,
      expireInSeconds: 23 * 3_600,
      retentionSeconds: 10 * yearSeconds, // an unfetched job is not to vanish
      deleteAfterSeconds: 300,
    }
    if (await this.#boss.getQueue(queue)) await this.#boss.updateQueue(queue, options)
    else await this.#boss.createQueue(queue, { ...options, policy: 'standard' })
  }

  async insert(client: Queryable, wakeUps: readonly WakeUp[]): Promise<void> {
    if (wakeUps.length === 0) return
    const jobs = wakeUps.map(({ deliveryId, delayMs, isRepeated }) => ({
      data: { deliveryId },
      singletonKey: deliveryId,
      priority: isRepeated ? repeatedPriority : freshPriority,
      ...(delayMs > 0 && { startAfter: (delayMs + spareMs) / 1_000 }), // in seconds: the server adds them to its own time
    }))
    await this.#boss.insert(queue, jobs, { db: adapter(client) })
  }

  /**
   * What is new goes first: it would wait for hours behind thousands that fail again and again. Where more is there than can be taken,
   * those come first every fourth time.
   */
  async fetch(limit: number): Promise<readonly Ticket[]> {
    const isTheirTurn = this.#isMoreThere && ++this.#fetched % repeatedEvery === 0
    const repeated = isTheirTurn ? await this.#fetch({ batchSize: limit, maxPriority: repeatedPriority }) : []
    const left = limit - repeated.length
    const others = left > 0 ? await this.#fetch({ batchSize: left }) : []
    this.#isMoreThere = others.length === left
    return [...repeated, ...others]
  }

  async #fetch(options: { readonly batchSize: number; readonly maxPriority?: number }): Promise<readonly Ticket[]> {
    const jobs: Job<JobData>[] = await this.#boss.fetch<JobData>(queue, { ...options, db: this.#quick })
    return jobs.map(({ id, retryCount, data }) => {
      this.#leased.set(ownerOf({ id, retryCount }), { id, retryCount })
      return { id, retryCount, ...data }
    })
  }

  /** Ends jobs in a transaction; what another process has got meanwhile stays. */
  async complete(client: Queryable, owners: readonly string[]): Promise<void> {
    if (owners.length === 0) return
    await this.#boss.complete(queue, owners.map(ticketOf), null, { db: adapter(client) })
  }

  /** After the commit of what completed them. */
  forget(owners: readonly string[]): void {
    for (const owner of owners) this.#leased.delete(owner)
  }

  /** Renews the lease of everything that is ours. */
  async touch(): Promise<void> {
    if (this.#leased.size > 0) await this.#boss.touch(queue, [...this.#leased.values()], { db: this.#quick })
  }

  /**
   * Makes jobs for deliveries that lost theirs: those that are due and wait, and those whose attempt has no job. Both happen only to a
   * queue that somebody emptied, or to a row that was changed by hand; and the first where the server's clock was ahead for a moment as it
   * made the job, or behind as the job came.
   */
  async reconcile(client: Queryable, now: number): Promise<void> {
    const jobs = `${this.#schema}.job j WHERE j.name = '${queue}' AND j.state IN ('created', 'retry', 'active')`
    const overdueMs = 10_000
    const { rows } = await client.query(
      `SELECT d.claim || ':' || d.event_key AS id, CASE WHEN d.state = 'running' THEN d.owner END AS orphan
       FROM ${this.#schema}.deliveries d
       WHERE (d.state = 'waiting' AND d.due_at < $1 AND d.received_at < $1
              AND NOT EXISTS (SELECT 1 FROM ${jobs} AND j.singleton_key = d.claim || ':' || d.event_key
                              AND (j.state = 'active' OR j.start_after <= ${this.#schema}.job_now()))
              AND NOT EXISTS (SELECT 1 FROM ${this.#schema}.deliveries r WHERE r.claim = d.claim AND r.state = 'running'))
          OR (d.state = 'running' AND NOT EXISTS (SELECT 1 FROM ${jobs} AND j.id::text = split_part(d.owner, ':', 1))
              AND NOT EXISTS (SELECT 1 FROM ${jobs} AND j.singleton_key = d.claim || ':' || d.event_key))
       LIMIT 1000`,
      [now - overdueMs],
    )
    if (rows.length === 0) return
    const lost = rows.map(({ id, orphan }) => ({
      data: { deliveryId: String(id), ...(typeof orphan === 'string' && { orphan }) },
      singletonKey: String(id),
    }))
    await this.#boss.insert(queue, lost)
  }

  /** After the server's clock went back: what waits for its next try comes earlier by as much. A date stays what it is. */
  async pull(connections: Connections, ms: number, now: number): Promise<void> {
    await connections.transaction((client) =>
      client.query(
        `WITH early AS (
           UPDATE ${this.#schema}.deliveries SET due_at = due_at - $1::bigint
           WHERE state = 'waiting' AND held_until IS NULL AND due_at > $2 RETURNING claim || ':' || event_key AS id
         )
         UPDATE ${this.#schema}.job j SET start_after = start_after - $1::bigint * interval '1 millisecond' FROM early
         WHERE j.name = '${queue}' AND j.state IN ('created', 'retry') AND j.singleton_key = early.id`,
        [ms, now],
      ),
    )
  }

  async stop(): Promise<void> {
    await this.#boss.stop({ graceful: false, close: false })
  }
}

/** A statement of pg-boss outside of our transactions. */
async function run(connections: Connections, withinMs: number, text: string, values: unknown[] = []) {
  if (values.length > 0) return connections.transaction((client) => client.query(text, values), withinMs)
  // It builds an index beside what goes on: in no transaction, and that may take long.
  if (/\bCONCURRENTLY\b/i.test(text)) return connections.query(text, [], buildWithinMs)
  const [, ...results] = [await connections.query(readCommitted(text), [], withinMs)].flat() // one result a statement
  return { rows: results.flatMap(({ rows }) => rows) }
}

function adapter(client: Queryable) {
  return { executeSql: (text: string, values?: unknown[]) => client.query(text, values) }
}
