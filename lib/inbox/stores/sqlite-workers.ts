import { randomUUID } from 'node:crypto'
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { text } from './rows.js'
import { preparing } from './sqlite-sql.js'

const deliveries = 'conversion_webhook_deliveries'
const workers = 'conversion_webhook_workers'

/** What an `erase` is called that writes the file anew. */
const rewriting = 'rewriting:'

/** The processes that deliver from a file, and their beats. */
export class SqliteWorkers {
  readonly #sql: (sql: string) => StatementSync

  constructor(db: DatabaseSync) {
    this.#sql = preparing(db)
  }

  beat(owner: string): void {
    this.#sql(`INSERT INTO ${workers} (id, beat) VALUES (?, 1) ON CONFLICT (id) DO UPDATE SET beat = beat + 1`).run(
      owner,
    )
  }

  /** Makes sure that an owner is a worker: one that was stopped for long has been forgotten by the others. */
  enrol(owner: string): void {
    this.#sql(`INSERT OR IGNORE INTO ${workers} (id, beat) VALUES (?, 1)`).run(owner)
  }

  /** The beats of the other workers. */
  beats(owner: string): ReadonlyMap<string, number> {
    const rows = this.#sql(`SELECT id, beat FROM ${workers} WHERE id <> ?`).all(owner)
    return new Map(rows.map(({ id, beat }) => [text(id), Number(beat)]))
  }

  /** Owners of running deliveries that are no worker: they were taken for gone. */
  unknownOwners(): readonly string[] {
    const rows = this.#sql(
      `SELECT DISTINCT owner FROM ${deliveries} WHERE state = 'running' AND owner NOT IN (SELECT id FROM ${workers})`,
    ).all()
    return rows.map(({ owner }) => text(owner))
  }

  /** Removes a worker that runs nothing. */
  forgetWorker(owner: string): void {
    this.#sql(
      `DELETE FROM ${workers} WHERE id = ? AND NOT EXISTS (SELECT 1 FROM ${deliveries} WHERE state = 'running' AND owner = ?)`,
    ).run(owner, owner)
  }

  /** Says to all processes that nobody will write for a while; gives the worker that is to be forgotten afterwards. */
  sayThatIsRewritten(): string {
    const id = `${rewriting}${randomUUID()}`
    this.enrol(id)
    return id
  }

  isRewritten(): boolean {
    return this.#sql(`SELECT 1 FROM ${workers} WHERE id >= ? AND id < ?`).get(rewriting, `${rewriting}~`) !== undefined
  }
}
