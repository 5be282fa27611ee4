import type { DayCounts, Operators } from 'conversion-webhook'
import type { Overview } from './api.js'

const days = 30
const keptForMs = 60_000

/** Totals and daily counts for pages that ask every two seconds. Past days are counted once a minute, today each time. */
export class Overviews {
  readonly #inbox: Operators
  #month: { readonly perDay: readonly DayCounts[]; readonly until: number } | undefined

  constructor(inbox: Operators) {
    this.#inbox = inbox
  }

  async get(): Promise<Overview> {
    const kept = this.#month
    if (kept === undefined || performance.now() > kept.until) {
      const { perDay = [], ...stats } = await this.#inbox.stats({ days })
      this.#month = { perDay, until: performance.now() + keptForMs }
      return { ...stats, perDay }
    }
    const { perDay: [today] = [], ...stats } = await this.#inbox.stats({ days: 1 })
    if (today === undefined || kept.perDay.at(-1)?.day !== today.day) {
      this.#month = undefined // a new day has begun
      return this.get()
    }
    return { ...stats, perDay: [...kept.perDay.slice(0, -1), today] }
  }
}
