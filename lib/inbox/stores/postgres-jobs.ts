import type { Job, PgBoss } from 'pg-boss'
import { readCommitted, type Connections } from './postgres-connections.js'
import type { Queryable } from './postgres-client.js'
import { Leases, type Lease, type Ticket } from './postgres-leases.js'
import { deliveryId, findDelivery, isRunning, keyOf, type ClaimRecord } from '../records.js'
import type { Written } from './postgres-rows.js'

const queue = 'deliveries'
/** Seconds without a touch after which the process of a job counts as gone. pg-boss checks every ten seconds; a process touches every five. */
const heartbeatSeconds = 20
const superviseSeconds = 10
/** Time limit of a statement about jobs: a lease must be renewed in time. */
const quickWithinMs = 5_000
const maintainWithinMs = 20_000
const buildWithinMs = 3_600_000
/** Added to delays. The server adds a delay to the start of the transaction, and a job that comes too early costs one more transaction. */
const spareMs = 20
/** The priority of a delivery for which a process had no slot: it has waited for its turn once already. */
const priorities = { returned: 2, fresh: 1, repeated: 0 } as const
const repeatedEvery = 4
const yearSeconds = 365 * 86_400

/** How many new deliveries share a job. More cost less, but a process with too few slots must pass more of them on. */
const deliveriesPerJob = 5

interface JobData {
  readonly deliveryIds: readonly string[]
  readonly orphan?: string
}

export interface WakeUp {
  readonly deliveryId: string
  /** Milliseconds from now. */
  readonly delayMs: number
  readonly kind: keyof typeof priorities
}

/**
 * The jobs of pg-boss. A job only wakes a process: our own tables hold the deliveries and their states. A job is made and completed in the
 * transaction that changes its deliveries.
 */
export class PostgresJobs {
  readonly #boss: PgBoss
  readonly #schema: string
  readonly #quick: ReturnType<typeof adapter>
  readonly leases = new Leases()
  #fetched = 0
  #isMoreThere = false
  /** How many deliveries the last fetched jobs had, on average. */
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
      retentionSeconds: 10 * yearSeconds, // pg-boss must not delete a job that was not fetched
      deleteAfterSeconds: 300,
    }
    if (await this.#boss.getQueue(queue)) await this.#boss.updateQueue(queue, options)
    else await this.#boss.createQueue(queue, { ...options, policy: 'standard' })
  }

  /** Makes jobs in a transaction, and notifies all processes at its end. */
  async insert(client: Queryable, wakeUps: readonly WakeUp[]): Promise<void> {
    if (wakeUps.length === 0) return
    await Promise.all([
      this.#boss.insert(queue, jobsFor(wakeUps), { db: adapter(client) }),
      client.query(`SELECT pg_notify('conversion_webhook', '')`),
    ])
  }

  /**
   * Fetches new deliveries first: they would wait for hours behind thousands that fail again and again. If there are more jobs than slots,
   * every fourth fetch takes the retries first.
   */
  async fetch(limit: number): Promise<readonly Ticket[]> {
    const isTheirTurn = this.#isMoreThere && ++this.#fetched % repeatedEvery === 0
    const repeated = isTheirTurn ? await this.#fetch({ batchSize: limit, maxPriority: priorities.repeated }) : []
    const left = limit - repeated.length
    // Rounded up, a fetch may find one delivery too many, and the job that passes it on makes the next fetch too big as well.
    const batchSize = left > 0 ? Math.max(1, Math.floor(left / this.#perJob)) : 0
    const others = batchSize > 0 ? await this.#fetch({ batchSize }) : []
    const tickets = [...repeated, ...others].flat()
    for (const ticket of tickets) this.leases.add(ticket) // after both fetches: if the second fails, the jobs of the first must not stay leased
    this.#isMoreThere = others.length === batchSize
    // Too many would be passed on to the queue, and too few need another fetch.
    if (others.length > 0) this.#perJob = Math.max(others.flat().length / others.length, this.#perJob / 2)
    return tickets
  }

  /** The tickets of each job. */
  async #fetch(options: { readonly batchSize: number; readonly maxPriority?: number }): Promise<readonly Ticket[][]> {
    const jobs: Job<JobData>[] = await this.#boss.fetch<JobData>(queue, { ...options, db: this.#quick })
    return jobs.map(({ id, retryCount, data: { deliveryIds, orphan } }) =>
      deliveryIds.map((deliveryId, index) => ({ id, retryCount, index, deliveryId, orphan })),
    )
  }

  /** Completes the jobs whose last tickets are these owners', in a transaction. A job that another process has fetched meanwhile stays. */
  async complete(client: Queryable, owners: readonly string[]): Promise<readonly Lease[]> {
    const jobs = this.leases.overWith(owners)
    if (jobs.length > 0) await this.#boss.complete(queue, [...jobs], null, { db: adapter(client) })
    return jobs
  }

  /** Completes `leases.left`, in a transaction of its own, since the two that ended the last tickets would wait for each other. */
  async completeLeft(): Promise<void> {
    const { left } = this.leases
    if (left.length === 0) return
    await this.#boss.complete(queue, [...left], null, { db: this.#quick })
    this.leases.end([], left)
  }

  /** Renews the leases of this process. */
  async touch(): Promise<void> {
    const { all } = this.leases
    if (all.length > 0) await this.#boss.touch(queue, [...all], { db: this.#quick })
  }

  /**
   * Makes jobs for deliveries without one: those that are due, and those whose attempt has no job. That happens if somebody emptied the queue
   * or changed a row by hand; for due deliveries also if the server's clock jumped while the job was made or fetched.
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

  /** Called after the server's clock was set back: moves retries back by as much. Dates of `confirm` stay. */
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

/** Due deliveries share jobs; a delivery that waits for its time has a job of its own. Pure. */
function jobsFor(wakeUps: readonly WakeUp[]) {
  const due = new Map<WakeUp['kind'], string[]>()
  return wakeUps.flatMap(({ deliveryId, delayMs, kind }) => {
    const open = delayMs > 0 ? undefined : due.get(kind)
    if (open !== undefined && open.length < deliveriesPerJob) {
      open.push(deliveryId)
      return []
    }
    const deliveryIds = [deliveryId]
    if (delayMs === 0) due.set(kind, deliveryIds)
    const later = {
      singletonKey: deliveryId, // `pull` finds it by this
      startAfter: (delayMs + spareMs) / 1_000, // in seconds: the server adds them to its own time
    }
    return { data: { deliveryIds }, priority: priorities[kind], ...(delayMs > 0 && later) }
  })
}

/** Runs a statement of pg-boss outside of our transactions. */
async function run(connections: Connections, withinMs: number, text: string, values: unknown[] = []) {
  if (values.length > 0) return connections.statement(text, values, withinMs)
  // CREATE INDEX CONCURRENTLY runs in no transaction, and may take long.
  if (/\bCONCURRENTLY\b/i.test(text)) return connections.query(text, [], buildWithinMs)
  const [, ...results] = [await connections.query(readCommitted(text), [], withinMs)].flat() // one result a statement
  return { rows: results.flatMap(({ rows }) => rows) }
}

function adapter(client: Queryable) {
  return { executeSql: (text: string, values?: unknown[]) => client.query(text, values) }
}

/* Decides which jobs a transaction makes and completes, from what it changed. Pure. */

/** Owners whose attempt ended in these changes, and those of `named` (owners that the changes name) under which nothing runs. */
export function endedOwners(written: readonly Written[], named: readonly (string | undefined)[]): readonly string[] {
  const running = new Set(written.flatMap(({ after }) => ownersIn(after)))
  const before = written.flatMap((each) => (each.before ? ownersIn(each.before) : []))
  const owners = [...new Set([...before, ...named])].filter((owner) => owner !== undefined)
  return owners.filter((owner) => !running.has(owner))
}

/**
 * The deliveries that need a job: new ones, and those with a new time; those that waited while another delivery of their claim ran; and those
 * whose candidate could not be used (`unused`, ids of deliveries). So no waiting delivery is without a job.
 */
export function wakeUpsFor(written: readonly Written[], unused: readonly string[], now: number): readonly WakeUp[] {
  const unusedIds = new Set(unused)
  return written.flatMap(({ before, after }) => {
    const isFree = !isRunning(after)
    const wasRunning = before !== undefined && isRunning(before)
    return after.deliveries.flatMap((delivery): readonly WakeUp[] => {
      const { state, dueAt, attempts, holds } = delivery
      if (state !== 'waiting') return []
      const id = deliveryId(after.id, keyOf(delivery))
      const isUnused = unusedIds.has(id)
      const old = before && findDelivery(before, keyOf(delivery))
      const isNews = old?.state !== 'waiting' || old.dueAt !== dueAt
      if (!isNews && !(isFree && (isUnused || (wasRunning && dueAt <= now)))) return []
      const kind = attempts > 0 || holds > 0 ? 'repeated' : isUnused ? 'returned' : 'fresh'
      return [{ deliveryId: id, delayMs: Math.max(0, dueAt - now), kind }]
    })
  })
}

function ownersIn({ deliveries }: ClaimRecord): readonly (string | undefined)[] {
  return deliveries.map(({ owner }) => owner)
}
