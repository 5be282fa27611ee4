import type { Job, PgBoss } from 'pg-boss'
import { readCommitted, type Connections } from './postgres-connections.js'
import type { Queryable } from './postgres-client.js'
import { Leases, type Lease, type Ticket } from './postgres-leases.js'
import { deliveryId, isRunning, keyOf, type ClaimRecord } from '../records.js'
import type { Written } from './postgres-rows.js'

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
/** What a process had no slot for goes first, since it has had its turn. */
const priorities = { returned: 2, fresh: 1, repeated: 0 } as const
const repeatedEvery = 4
const yearSeconds = 365 * 86_400

/** So many deliveries that are new share a job: more cost less, and are more often handed on by a process that has not enough slots. */
const deliveriesPerJob = 5

interface JobData {
  readonly deliveryIds: readonly string[]
  readonly orphan?: string
}

export interface WakeUp {
  readonly deliveryId: string
  /** From now on. */
  readonly delayMs: number
  readonly kind: keyof typeof priorities
}

/**
 * The jobs of pg-boss. They are wake-ups only: which deliveries there are, and what state they are in, our own tables say. A job is made
 * and completed in the transaction that changes the delivery.
 */
export class PostgresJobs {
  readonly #boss: PgBoss
  readonly #schema: string
  readonly #quick: ReturnType<typeof adapter>
  readonly leases = new Leases()
  #fetched = 0
  #isMoreThere = false
  /** How many deliveries the jobs had that were fetched last. */
  #perJob = deliveriesPerJob

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

  /** Makes jobs in a transaction, and tells all processes at its end. */
  async insert(client: Queryable, wakeUps: readonly WakeUp[]): Promise<void> {
    if (wakeUps.length === 0) return
    const jobs = jobsFor(wakeUps).map(({ deliveryIds, delayMs, kind }) => ({
      data: { deliveryIds },
      priority: priorities[kind],
      ...(delayMs > 0 && {
        singletonKey: deliveryIds[0], // `pull` finds it by this
        startAfter: (delayMs + spareMs) / 1_000, // in seconds: the server adds them to its own time
      }),
    }))
    await Promise.all([
      this.#boss.insert(queue, jobs, { db: adapter(client) }),
      client.query(`SELECT pg_notify('conversion_webhook', '')`),
    ])
  }

  /**
   * What is new goes first: it would wait for hours behind thousands that fail again and again. Where more is there than can be taken,
   * those come first every fourth time.
   */
  async fetch(limit: number): Promise<readonly Ticket[]> {
    const isTheirTurn = this.#isMoreThere && ++this.#fetched % repeatedEvery === 0
    const repeated = isTheirTurn ? await this.#fetch({ batchSize: limit, maxPriority: priorities.repeated }) : []
    const left = limit - repeated.length
    const batchSize = Math.ceil(left / this.#perJob)
    const others = batchSize > 0 ? await this.#fetch({ batchSize }) : []
    const tickets = [...repeated, ...others].flat()
    for (const ticket of tickets) this.leases.add(ticket) // at last: what reaches nobody, as the second fetch fails, is not to stay leased
    this.#isMoreThere = others.length === batchSize
    // Too many come back to the queue, and too few take another look.
    if (others.length > 0) this.#perJob = Math.max(others.flat().length / others.length, this.#perJob / 2)
    return tickets
  }

  /** The tickets of each job. */
  async #fetch(options: {
    readonly batchSize: number
    readonly maxPriority?: number
  }): Promise<readonly (readonly Ticket[])[]> {
    const jobs: Job<JobData>[] = await this.#boss.fetch<JobData>(queue, { ...options, db: this.#quick })
    return jobs.map(({ id, retryCount, data: { deliveryIds, orphan } }) =>
      deliveryIds.map((deliveryId, index) => ({ id, retryCount, index, deliveryId, orphan })),
    )
  }

  /** Ends the jobs that are over with these owners, in a transaction; what another process has got meanwhile stays. */
  async complete(client: Queryable, owners: readonly string[]): Promise<readonly Lease[]> {
    const jobs = this.leases.overWith(owners)
    if (jobs.length > 0) await this.#boss.complete(queue, [...jobs], null, { db: adapter(client) })
    return jobs
  }

  /** Ends the jobs that were over with two transactions at a time, so that neither has ended them. Apart, since both would wait for the other. */
  async completeLeft(): Promise<void> {
    const { left } = this.leases
    if (left.length === 0) return
    await this.#boss.complete(queue, [...left], null, { db: this.#quick })
    this.leases.end([], left)
  }

  /** Renews the lease of everything that is ours. */
  async touch(): Promise<void> {
    const { all } = this.leases
    if (all.length > 0) await this.#boss.touch(queue, [...all], { db: this.#quick })
  }

  /**
   * Makes jobs for deliveries that lost theirs: those that are due and wait, and those whose attempt has no job. Both happen only to a
   * queue that somebody emptied, or to a row that was changed by hand; and the first where the server's clock was ahead for a moment as it
   * made the job, or behind as the job came.
   */
  async reconcile(client: Queryable, now: number): Promise<void> {
    const overdueMs = 10_000
    const { rows } = await client.query(
      `WITH open AS MATERIALIZED (
         SELECT j.id::text AS job, ids.delivery, j.state = 'active' OR j.start_after <= ${this.#schema}.job_now() AS is_due
         FROM ${this.#schema}.job j CROSS JOIN LATERAL jsonb_array_elements_text(j.data -> 'deliveryIds') AS ids (delivery)
         WHERE j.name = '${queue}' AND j.state IN ('created', 'retry', 'active')
       )
       (SELECT d.claim || ':' || d.event_key AS id, NULL AS orphan FROM ${this.#schema}.deliveries d
        WHERE d.state = 'waiting' AND d.due_at < $1 AND d.received_at < $1
          AND NOT EXISTS (SELECT 1 FROM open WHERE delivery = d.claim || ':' || d.event_key AND is_due)
          AND NOT EXISTS (SELECT 1 FROM ${this.#schema}.deliveries r WHERE r.claim = d.claim AND r.state = 'running') LIMIT 1000)
       UNION ALL
       (SELECT d.claim || ':' || d.event_key, d.owner FROM ${this.#schema}.deliveries d
        WHERE d.state = 'running'
          AND NOT EXISTS (SELECT 1 FROM open WHERE job = split_part(d.owner, ':', 1))
          AND NOT EXISTS (SELECT 1 FROM open WHERE delivery = d.claim || ':' || d.event_key) LIMIT 1000)`,
      [now - overdueMs],
    )
    if (rows.length === 0) return
    const lost = rows.map(({ id, orphan }) => ({
      data: { deliveryIds: [String(id)], ...(typeof orphan === 'string' && { orphan }) },
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

interface Batch extends Pick<WakeUp, 'delayMs' | 'kind'> {
  readonly deliveryIds: readonly string[]
}

/** What is due shares jobs, and what waits for its time has one each. Pure. */
function jobsFor(wakeUps: readonly WakeUp[]): readonly Batch[] {
  const batches: Batch[] = []
  const due = new Map<WakeUp['kind'], string[]>()
  for (const { deliveryId, delayMs, kind } of wakeUps) {
    const open = delayMs > 0 ? undefined : due.get(kind)
    if (open !== undefined && open.length < deliveriesPerJob) {
      open.push(deliveryId)
      continue
    }
    const deliveryIds = [deliveryId]
    batches.push({ deliveryIds, delayMs, kind })
    if (delayMs === 0) due.set(kind, deliveryIds)
  }
  return batches
}

/** A statement of pg-boss outside of our transactions. */
async function run(connections: Connections, withinMs: number, text: string, values: unknown[] = []) {
  if (values.length > 0) return connections.statement(text, values, withinMs)
  // It builds an index beside what goes on: in no transaction, and that may take long.
  if (/\bCONCURRENTLY\b/i.test(text)) return connections.query(text, [], buildWithinMs)
  const [, ...results] = [await connections.query(readCommitted(text), [], withinMs)].flat() // one result a statement
  return { rows: results.flatMap(({ rows }) => rows) }
}

function adapter(client: Queryable) {
  return { executeSql: (text: string, values?: unknown[]) => client.query(text, values) }
}

/* Which jobs a transaction makes and ends, told from what it changed. Pure. */

/** Owners whose attempt ended in these changes, and those of `served` that do not run: candidates and attempts of which nothing is left. */
export function endedOwners(written: readonly Written[], served: readonly string[]): readonly string[] {
  const running = new Set(written.flatMap(({ after }) => ownersIn(after)))
  const before = written.flatMap((each) => (each.before ? ownersIn(each.before) : []))
  return [...new Set([...before, ...served])].filter((owner) => !running.has(owner))
}

/**
 * Whom to wake: what is new or is to be tried at another time; what had to wait for a sibling that ran; and what a candidate came for
 * in vain (`unused`, ids of deliveries), so that nothing that waits is without a job.
 */
export function wakeUpsFor(written: readonly Written[], unused: readonly string[], now: number): readonly WakeUp[] {
  const cameInVain = new Set(unused)
  return written.flatMap(({ before, after }) => {
    const isFree = !isRunning(after)
    const wasRunning = before !== undefined && isRunning(before)
    return after.deliveries
      .filter(({ state }) => state === 'waiting')
      .map((delivery) => ({ delivery, id: deliveryId(after.id, keyOf(delivery)) }))
      .filter(({ delivery, id }) => {
        const old = before?.deliveries.find((known) => keyOf(known) === keyOf(delivery))
        const isNews = old?.state !== 'waiting' || old.dueAt !== delivery.dueAt
        return isNews || (isFree && (cameInVain.has(id) || (wasRunning && delivery.dueAt <= now)))
      })
      .map(({ delivery, id }) => ({
        deliveryId: id,
        delayMs: Math.max(0, delivery.dueAt - now),
        kind: delivery.attempts > 0 || delivery.holds > 0 ? 'repeated' : cameInVain.has(id) ? 'returned' : 'fresh',
      }))
  })
}

function ownersIn({ deliveries }: ClaimRecord): string[] {
  return deliveries.map(({ owner }) => owner).filter((owner) => owner !== undefined)
}
