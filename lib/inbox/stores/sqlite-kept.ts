import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { ClaimRecord } from '../records.js'
import type { SqliteClock } from './sqlite-clock.js'

/**
 * Keeps the claims with a delivery that runs in this process as its last transaction left them, so that no verdict reads its claim again: as
 * many claims as handlers run. Forgets all of them once anything else may have written. SQLite tells the commits of other connections by
 * `data_version`, and what this connection has changed, also what was rolled back, by `total_changes()`.
 */
export class KeptClaims {
  readonly #clock: Pick<SqliteClock, 'lead'>
  readonly #owner: string
  readonly #version: StatementSync
  readonly #changes: StatementSync
  readonly #claims = new Map<string, ClaimRecord>()
  #known: { readonly version?: unknown; readonly lead?: number; readonly changes?: unknown } = {}

  constructor(db: DatabaseSync, clock: Pick<SqliteClock, 'lead'>, owner: string) {
    this.#clock = clock
    this.#owner = owner
    this.#version = db.prepare('PRAGMA data_version')
    this.#changes = db.prepare('SELECT total_changes() AS changes')
  }

  /** Called when a transaction has locked the file, and the clock was looked at: after a jump, times are read in another way. */
  begin(): void {
    const version = this.#version.get()?.data_version
    const { lead } = this.#clock
    const { changes } = this.#known
    const isKnown = version === this.#known.version && lead === this.#known.lead && this.#countChanges() === changes
    if (!isKnown) this.#claims.clear()
    this.#known = { version, lead, changes }
  }

  find(id: string): ClaimRecord | undefined {
    return this.#claims.get(id)
  }

  /** Called when a transaction is committed, with the claims that it has read or written, as they are now. */
  keep(claims: Iterable<ClaimRecord | undefined>): void {
    for (const claim of claims) {
      if (claim === undefined) continue
      if (claim.deliveries.some(({ owner }) => owner === this.#owner)) this.#claims.set(claim.id, claim)
      else this.#claims.delete(claim.id)
    }
    this.#known = { ...this.#known, changes: this.#countChanges() }
  }

  forget(): void {
    this.#claims.clear()
  }

  #countChanges(): unknown {
    return this.#changes.get()?.changes
  }
}
