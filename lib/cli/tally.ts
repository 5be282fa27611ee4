import type { Answer } from './client.js'
import { figure } from './io.js'

/** Counts the answers to many requests, and how long they took. */
export class Tally {
  readonly #counts = new Map<string, number>()
  readonly #times: number[] = []
  /** How many requests got no answer, or another than 200. */
  failed = 0

  add({ status, label, ms }: Answer): void {
    this.#counts.set(label, (this.#counts.get(label) ?? 0) + 1)
    this.#times.push(ms)
    if (status !== 200) this.failed++
  }

  get sent(): number {
    return this.#times.length
  }

  /** How many requests got each answer, the most frequent first. */
  get answers(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.#counts].sort(([, a], [, b]) => b - a))
  }

  /** Milliseconds. */
  latency() {
    const sorted = Float64Array.from(this.#times).sort()
    const at = (part: number): number =>
      Math.round((sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)] ?? 0) * 10) / 10
    return { median: at(0.5), p95: at(0.95), p99: at(0.99), longest: at(1) }
  }

  lines(): string[] {
    const { median, p95, p99, longest } = this.latency()
    const entries = Object.entries(this.answers)
    const width = Math.max(...entries.map(([label]) => label.length))
    const times = [`median ${figure(median, 1)}`, `95 % ${figure(p95, 1)}`, `99 % ${figure(p99, 1)}`]
    return [
      ...entries.map(([label, count]) => `  ${label.padEnd(width)}  ${figure(count).padStart(8)}`),
      `  latency in ms: ${times.join(', ')}, longest ${figure(longest, 1)}`,
    ]
  }
}
