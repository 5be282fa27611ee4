import { holdersBy } from '../holders.js'
import { peopleKey } from '../identity.js'
import type { ClaimRecord } from '../records.js'
import { ordersFor, type Change, type Found } from '../store.js'
import type { SqliteQuarantine } from './sqlite-quarantine.js'
import type { SqliteRows } from './sqlite-rows.js'

/** What one transaction reads: each claim once, and then as the changes before left it. */
export class SqliteFound {
  readonly #rows: SqliteRows
  readonly #quarantine: SqliteQuarantine
  readonly #records = new Map<string, ClaimRecord | undefined>()

  constructor(rows: SqliteRows, quarantine: SqliteQuarantine) {
    this.#rows = rows
    this.#quarantine = quarantine
  }

  find(change: Change<unknown>): Found {
    const { claim, callback, quarantined: id } = change
    const record = claim === undefined ? undefined : this.record(claim)
    const quarantined = id === undefined ? undefined : this.#quarantine.find(id)
    const claims = callback ? this.#claims(callback, this.#rows.holder(callback.identity)?.claim) : []
    const holders = holdersBy(ordersFor(change, [record, ...claims]), (order) => this.#rows.holder(order))
    return { claims, holders, ...(record && { record }), ...(quarantined && { quarantined }) }
  }

  record(id: string): ClaimRecord | undefined {
    if (!this.#records.has(id)) this.#records.set(id, this.#rows.record(id))
    return this.#records.get(id)
  }

  /** What a change left. */
  put(record: ClaimRecord): void {
    this.#records.set(record.id, record)
  }

  /** Most callbacks are about something new, or say the same as the first claim: then nobody else matters but the one that has the order. */
  #claims({ identity, people }: NonNullable<Change<unknown>['callback']>, holder: string | undefined) {
    const first = this.record(identity)
    if (first === undefined) return []
    const rivals = first.people === peopleKey(identity, people) ? [] : this.#rows.rivals(identity, people)
    const ids = new Set([...rivals, ...(holder === undefined ? [] : [holder])])
    ids.delete(identity)
    const others = [...ids].map((id) => this.record(id)).filter((record) => record !== undefined)
    return [first, ...others.filter((record) => record.identity === identity)]
  }
}
