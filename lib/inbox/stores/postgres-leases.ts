/** A job of pg-boss that this process has fetched: the right to run its deliveries until they are done or this process falls silent. */
export interface Lease {
  readonly id: string
  readonly retryCount: number
}

/** The right to run one delivery of a job. */
export interface Ticket extends Lease {
  /** The place of the delivery in its job. */
  readonly index: number
  readonly deliveryId: string
  /** An attempt that has no job any more, and whose delivery is to be taken over. */
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
 * Whether the process of an attempt fell silent before a ticket was fetched: the same job came again since, or the attempt has no job any
 * more. A ticket that is looked at late says nothing of later ones. Pure.
 */
export function isLapsedBefore(
  { id, retryCount, orphan }: Omit<Ticket, 'deliveryId' | 'index'>,
  owner: string,
): boolean {
  const other = leaseOf(owner)
  return owner === orphan || (other.id === id && other.retryCount < retryCount)
}

interface Leased extends Lease {
  /** The owners of its tickets that are not over. */
  readonly open: Set<string>
}

/** The jobs that are this process's own, until each of their tickets is over. */
export class Leases {
  readonly #jobs = new Map<string, Leased>()
  readonly #tickets = new Map<string, Ticket>()
  /** Jobs whose last tickets were over in two transactions at a time, so that neither has completed them. */
  readonly #left = new Set<Leased>()

  get all(): readonly Lease[] {
    return [...this.#jobs.values()]
  }

  add(ticket: Ticket): void {
    const owner = ownerOf(ticket)
    this.#tickets.set(owner, ticket)
    this.#jobOf(ticket).open.add(owner)
  }

  ticket(owner: string): Ticket | undefined {
    return this.#tickets.get(owner)
  }

  /** Jobs of which all tickets are over, and that no transaction has completed. */
  get left(): readonly Lease[] {
    return [...this.#left]
  }

  /** The jobs that are over when these owners are. */
  overWith(owners: readonly string[]): readonly Lease[] {
    const ending = new Set(owners)
    const jobs = new Set<Leased>()
    for (const owner of owners) {
      const job = this.#jobs.get(keyOf(leaseOf(owner)))
      if (job !== undefined && [...job.open].every((open) => ending.has(open))) jobs.add(job)
    }
    return [...jobs]
  }

  /** After the transaction in which they ended, and `completed` was what it completed. */
  end(owners: readonly string[], completed: readonly Lease[]): void {
    for (const owner of owners) {
      this.#tickets.delete(owner)
      const job = this.#jobs.get(keyOf(leaseOf(owner)))
      job?.open.delete(owner)
      if (job?.open.size === 0) this.#left.add(job)
    }
    for (const job of this.#left) {
      if (completed.includes(job)) this.#remove(job)
    }
  }

  #remove(job: Leased): void {
    this.#left.delete(job)
    this.#jobs.delete(keyOf(job))
  }

  #jobOf({ id, retryCount }: Lease): Leased {
    const key = keyOf({ id, retryCount })
    const job = this.#jobs.get(key) ?? { id, retryCount, open: new Set() }
    this.#jobs.set(key, job)
    return job
  }
}

function keyOf({ id, retryCount }: Lease): string {
  return `${id}:${String(retryCount)}`
}
