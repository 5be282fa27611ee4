/** A job of pg-boss that this process has fetched. The process may run the job's deliveries as long as it renews the lease. */
export interface Lease {
  readonly id: string
  readonly retryCount: number
}

/** The right to run one delivery of a job. */
export interface Ticket extends Lease {
  /** The place of the delivery in its job. */
  readonly index: number
  readonly deliveryId: string
  /** An attempt without a job, whose delivery is to be taken over. */
  readonly orphan?: string | undefined
}

/** The owner that a delivery's row names while a ticket's attempt runs. */
export function ownerOf({ id, retryCount, index }: Omit<Ticket, 'deliveryId'>): string {
  return [id, retryCount, index].join(':')
}

function leaseOf(owner: string): Lease {
  const [id = '', retryCount] = owner.split(':')
  return { id, retryCount: Number(retryCount) }
}

/**
 * Whether the process of an attempt was gone when a ticket was fetched: the same job was fetched again since, or the attempt has no job any
 * more. Says nothing of attempts that started after the ticket was fetched. Pure.
 */
export function isLapsedBefore({ id, retryCount, orphan }: Lease & Pick<Ticket, 'orphan'>, owner: string): boolean {
  const other = leaseOf(owner)
  return owner === orphan || (other.id === id && other.retryCount < retryCount)
}

interface Leased extends Lease {
  /** Its unfinished tickets, by owner. */
  readonly open: Map<string, Ticket>
}

/** The jobs that this process has leased, until all of their tickets are finished and the jobs are completed. */
export class Leases {
  readonly #jobs = new Map<string, Leased>()

  get all(): readonly Leased[] {
    return [...this.#jobs.values()]
  }

  /** Jobs whose last tickets ended in two transactions at a time, so that neither completed them. */
  get left(): readonly Lease[] {
    return this.all.filter(({ open }) => open.size === 0)
  }

  add(ticket: Ticket): void {
    const { id, retryCount } = ticket
    const job = this.#jobs.get(keyOf(ticket)) ?? { id, retryCount, open: new Map<string, Ticket>() }
    this.#jobs.set(keyOf(ticket), job)
    job.open.set(ownerOf(ticket), ticket)
  }

  ticket(owner: string): Ticket | undefined {
    return this.#jobOf(owner)?.open.get(owner)
  }

  /** The jobs whose last tickets are these owners'. */
  overWith(owners: readonly string[]): readonly Lease[] {
    const ending = new Set(owners)
    const jobs = new Set(owners.map((owner) => this.#jobOf(owner)).filter((job) => job !== undefined))
    return [...jobs].filter(({ open }) => [...open.keys()].every((each) => ending.has(each)))
  }

  /** Called after the commit of the transaction in which these owners ended; `completed` are the jobs that it completed. */
  end(owners: readonly string[], completed: readonly Lease[]): void {
    for (const owner of owners) this.#jobOf(owner)?.open.delete(owner)
    for (const job of completed) this.#jobs.delete(keyOf(job))
  }

  #jobOf(owner: string): Leased | undefined {
    return this.#jobs.get(keyOf(leaseOf(owner)))
  }
}

function keyOf({ id, retryCount }: Lease): string {
  return `${id}:${String(retryCount)}`
}
