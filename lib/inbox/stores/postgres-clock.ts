import type { Queryable } from './postgres-client.js'

/** A measurement that took longer says too little. */
const maxRoundTripMs = 2_000

/**
 * The server's clock, which deliveries are due by. Between two measurements it goes on by the monotonic clock of this process: a step of
 * the process's own wall clock changes nothing.
 */
export class ServerClock {
  #serverAt = Date.now()
  #measuredAt = performance.now()
  #isMeasured = false

  readonly now = (): number => Math.round(this.#serverAt + performance.now() - this.#measuredAt)

  /** Asks the server. Milliseconds by which its clock was stepped since it was asked before; 0 the first time. */
  async measure(client: Queryable): Promise<number> {
    const askedAt = performance.now()
    const { rows } = await client.query('SELECT extract(epoch FROM clock_timestamp()) * 1000 AS now')
    const answeredAt = performance.now()
    if (this.#isMeasured && answeredAt - askedAt > maxRoundTripMs) return 0
    const measuredAt = (askedAt + answeredAt) / 2
    const serverAt = Number(rows[0]?.now)
    const stepMs = this.#isMeasured ? serverAt - (this.#serverAt + measuredAt - this.#measuredAt) : 0
    this.#serverAt = serverAt
    this.#measuredAt = measuredAt
    this.#isMeasured = true
    return stepMs
  }
}
