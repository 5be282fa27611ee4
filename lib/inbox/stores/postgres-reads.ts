import { storageError } from '../../errors.js'
import { maxClaims, type Store } from '../store.js'
import { callbackCountsIn, deliveryCountsIn } from '../tally.js'
import type { PostgresParts } from './postgres-open.js'

/** The reads of the inbox outside of its transactions. */
export abstract class PostgresReads implements Omit<Store, 'change' | 'quarantineBudget'> {
  protected abstract parts(): Promise<PostgresParts>

  protected async read<T>(query: (parts: PostgresParts) => Promise<T>): Promise<T> {
    const parts = await this.parts()
    try {
      return await query(parts)
    } catch (error) {
      throw storageError(error)
    }
  }

  readonly record: Store['record'] = (claim) =>
    this.read(async ({ rows, connections }) => (await rows.records(connections, [claim])).get(claim))
  readonly claims: Store['claims'] = (identity) =>
    this.read(({ rows, connections }) => rows.claims(connections, identity, maxClaims))
  readonly holders: Store['holders'] = (orders) =>
    this.read(({ rows, connections }) => rows.holders(connections, orders))
  readonly quarantined: Store['quarantined'] = (id) =>
    this.read(({ quarantine, connections }) => quarantine.find(connections, id))
  readonly conflicts: Store['conflicts'] = (identity) =>
    this.read(({ quarantine, connections }) => quarantine.conflicts(connections, identity))
  readonly deliveries: Store['deliveries'] = (selection) =>
    this.read(({ rows, connections }) => rows.deliveries(connections, selection))
  readonly quarantine: Store['quarantine'] = (selection) =>
    this.read(({ quarantine, connections }) => quarantine.list(connections, selection))
  readonly allQuarantined: Store['allQuarantined'] = (after, limit) =>
    this.read(({ quarantine, connections }) => quarantine.all(connections, after, limit))
  readonly receivedAt: Store['receivedAt'] = (id) =>
    this.read(({ rows, connections }) => rows.receivedAt(connections, id))
  readonly waitingInQuarantine: Store['waitingInQuarantine'] = () =>
    this.read(({ quarantine, connections }) => quarantine.waitingSize(connections))
  readonly callbackCounts: Store['callbackCounts'] = () =>
    this.read(async ({ rows, connections }) => callbackCountsIn(await rows.counters.read(connections)))
  readonly deliveryCounts: Store['deliveryCounts'] = () =>
    this.read(async ({ rows, connections }) => deliveryCountsIn(await rows.counters.read(connections)))
  readonly oldestWaitingAt: Store['oldestWaitingAt'] = () =>
    this.read(({ rows, connections }) => rows.oldestWaitingAt(connections))
  readonly dailyCounts: Store['dailyCounts'] = (firstDay) =>
    this.read(({ rows, connections }) => rows.counters.days(connections, firstDay))
  readonly records: Store['records'] = (after, limit) =>
    this.read(({ rows, connections }) => rows.recordsAfter(connections, after, limit))
  readonly settled: Store['settled'] = (before, after, limit) =>
    this.read(({ rows, connections }) => rows.settled(connections, before, after, limit))
  readonly drop: Store['drop'] = (id) =>
    this.read(({ quarantine, connections }) => connections.transaction((client) => quarantine.drop(client, id)))
  readonly scrub = (): Promise<void> => Promise.resolve() // no query shows overwritten data; vacuum and backups are the server's task
}
