import type { QuarantinedCallback, Size } from '../quarantine.js'
import type { ClaimRecord } from '../records.js'
import {
  maxClaims,
  type Counts,
  type StoredCount,
  type DeliveryCounts,
  type DeliverySelection,
  type QuarantineSelection,
  type Settled,
  type StoredDelivery,
  type Listed,
} from '../store.js'
import { storageError } from '../../errors.js'
import type { PostgresParts } from './postgres-open.js'
import type { Outcome } from '../vocabulary.js'
import type { Holders } from '../reservation.js'

/** The reads of the inbox outside of its transactions. */
export abstract class PostgresReads {
  protected abstract parts(): Promise<PostgresParts>

  protected async read<T>(query: (parts: PostgresParts) => Promise<T>): Promise<T> {
    const parts = await this.parts()
    try {
      return await query(parts)
    } catch (error) {
      throw storageError(error)
    }
  }

  record(claim: string): Promise<ClaimRecord | undefined> {
    return this.read(async ({ rows, connections }) => (await rows.records(connections, [claim])).get(claim))
  }

  claims(identity: string): Promise<readonly ClaimRecord[]> {
    return this.read(({ rows, connections }) => rows.claims(connections, identity, maxClaims))
  }

  holders(orders: readonly string[]): Promise<Holders> {
    return this.read(({ rows, connections }) => rows.holders(connections, orders))
  }

  quarantined(id: string): Promise<QuarantinedCallback | undefined> {
    return this.read(({ quarantine, connections }) => quarantine.find(connections, id))
  }

  conflicts(identity: string): Promise<readonly QuarantinedCallback[]> {
    return this.read(({ quarantine, connections }) => quarantine.conflicts(connections, identity))
  }

  deliveries(selection: DeliverySelection): Promise<readonly Listed<StoredDelivery>[]> {
    return this.read(({ rows, connections }) => rows.deliveries(connections, selection))
  }

  quarantine(selection: QuarantineSelection): Promise<readonly Listed<QuarantinedCallback>[]> {
    return this.read(({ quarantine, connections }) => quarantine.list(connections, selection))
  }

  allQuarantined(after: number | undefined, limit: number) {
    return this.read(({ quarantine, connections }) => quarantine.all(connections, after, limit))
  }

  receivedAt(id: string): Promise<number | undefined> {
    return this.read(({ rows, connections }) => rows.receivedAt(connections, id))
  }

  waitingInQuarantine(): Promise<Size> {
    return this.read(({ quarantine, connections }) => quarantine.waitingSize(connections))
  }

  callbackCounts(): Promise<Counts<Outcome>> {
    return this.read(({ rows, connections }) => rows.counters.callbacks(connections))
  }

  deliveryCounts(): Promise<DeliveryCounts> {
    return this.read(({ rows, connections }) => rows.counters.deliveries(connections))
  }

  oldestWaitingAt(): Promise<number | undefined> {
    return this.read(({ rows, connections }) => rows.oldestWaitingAt(connections))
  }

  dailyCounts(firstDay: number): Promise<readonly StoredCount[]> {
    return this.read(({ rows, connections }) => rows.counters.days(connections, firstDay))
  }

  records(after: string | undefined, limit: number) {
    return this.read(({ rows, connections }) => rows.recordsAfter(connections, after, limit))
  }

  settled(before: number, after: Settled | undefined, limit: number) {
    return this.read(({ rows, connections }) => rows.settled(connections, before, after, limit))
  }

  drop(id: string): Promise<boolean> {
    return this.read(({ quarantine, connections }) => connections.transaction((client) => quarantine.drop(client, id)))
  }

  scrub(): Promise<void> {
    return Promise.resolve() // no query shows overwritten data; vacuum and backups are the server's task
  }
}
