import {
  isOver,
  keptWith,
  maxAgeMs,
  receivedAtOf,
  type QuarantinedCallback,
  type QuarantineKind,
  type Size,
} from '../quarantine.js'

const bytesPerRow = 1_024

interface Row {
  readonly quarantined: QuarantinedCallback
  readonly bytes: number
}

/** The rows of one kind, oldest first. */
class Shelf {
  readonly rows = new Map<string, Row>()
  #bytes = 0

  get size(): Size {
    return { rows: this.rows.size, bytes: this.#bytes }
  }

  set(quarantined: QuarantinedCallback): void {
    const { id } = quarantined
    const text = JSON.stringify(quarantined)
    const row = {
      // As a copy: strings that were cut out of a request keep the whole request in memory.
      quarantined: this.rows.has(id) ? quarantined : (JSON.parse(text) as QuarantinedCallback),
      bytes: 2 * text.length + bytesPerRow,
    }
    this.#bytes += row.bytes - (this.rows.get(id)?.bytes ?? 0)
    this.rows.set(id, row)
  }

  delete(id: string): void {
    this.#bytes -= this.rows.get(id)?.bytes ?? 0
    this.rows.delete(id)
  }
}

/** What a process keeps of refused callbacks and conflicts. */
export class MemoryQuarantine {
  readonly budget: Size
  readonly #shelves: Readonly<Record<QuarantineKind, Shelf>> = { refused: new Shelf(), conflict: new Shelf() }

  constructor(budget: Size) {
    this.budget = budget
  }

  find(id: string): QuarantinedCallback | undefined {
    const { refused, conflict } = this.#shelves
    return (refused.rows.get(id) ?? conflict.rows.get(id))?.quarantined
  }

  /** Keeps a callback, or counts it. */
  keep(callback: QuarantinedCallback): void {
    this.write(keptWith(this.find(callback.id), callback))
  }

  write(quarantined: QuarantinedCallback): void {
    this.#shelves[quarantined.kind].set(quarantined)
    this.#limit(quarantined.kind)
  }

  drop(id: string): void {
    for (const shelf of Object.values(this.#shelves)) shelf.delete(id)
  }

  all(): QuarantinedCallback[] {
    this.#limit('refused')
    this.#limit('conflict')
    return Object.values(this.#shelves).flatMap(({ rows }) => [...rows.values()].map(({ quarantined }) => quarantined))
  }

  waiting(): Size {
    const rows = [...this.#shelves.refused.rows.values()].filter(({ quarantined }) => quarantined.state === 'waiting')
    return { rows: rows.length, bytes: rows.reduce((sum, { bytes }) => sum + bytes, 0) }
  }

  /** Removes what is too old, and the oldest of what is too much, but nothing that waits. */
  #limit(kind: QuarantineKind): void {
    const shelf = this.#shelves[kind]
    const before = Date.now() - maxAgeMs
    for (const [id, { quarantined }] of shelf.rows) {
      if (!isOver(shelf.size, this.budget) && receivedAtOf(quarantined) >= before) return
      if (quarantined.state !== 'waiting') shelf.delete(id)
    }
  }
}
