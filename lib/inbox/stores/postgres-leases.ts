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

/** The jobs that are this process's own, until each of their tickets is over and they are completed. */
export class Leases {
  readonly #jobs = new Map<string, Leased>()
  readonly #tickets = new Map<string, Ticket>()

  get all(): readonly Lease[] {
    return [...this.#jobs.values()]
  }

  /** Jobs whose last tickets were over in two transactions at a time, so that neither has completed them. */
  get left(): readonly Lease[] {
    return [...this.#jobs.values()].filter(({ open }) => open.size === 0)
  }

  add(ticket: Ticket): void {
    const { id, retryCount } = ticket
    const owner = ownerOf(ticket)
    const job = this.#jobs.get(keyOf(ticket)) ?? { id, retryCount, open: new Set() }
    this.#jobs.set(keyOf(ticket), job)
    this.#tickets.set(owner, ticket)
    job.open.add(owner)
  }

  ticket(owner: string): Ticket | undefined {
    return this.#tickets.get(owner)
  }

  /** The jobs that are over when these owners are. */
  overWith(owners: readonly string[]): readonly Lease[] {
    const ending = new Set(owners)
    const jobs = new Set(owners.map((owner) => this.#jobs.get(keyOf(leaseOf(owner)))))
    return [...jobs]
      .filter((job) => job !== undefined)
      .filter(({ open }) => [...open].every((each) => ending.has(each)))
  }

  /** After the transaction in which they ended, and `completed` was what it completed. */
  end(owners: readonly string[], completed: readonly Lease[]): void {
    for (const owner of owners) {
      this.#tickets.delete(owner)
      this.#jobs.get(keyOf(leaseOf(owner)))?.open.delete(owner)
    }
    for (const job of completed) this.#jobs.delete(keyOf(job))
  }
}

function keyOf({ id, retryCount }: Lease): string {
  return `${id}:${String(retryCount)}`
}
