import { figure, painter, type Io, type Output } from './io.js'

const width = 30
const everyMs = 100

/** A progress bar on one line of a terminal. Prints nothing elsewhere. */
export class Progress {
  readonly #output: Output | undefined
  readonly #bar: (text: string) => string
  readonly #total: number
  #shownAt = 0

  constructor(io: Io, total: number) {
    const paint = painter(io.err, io.env)
    this.#output = io.err.isTTY === true ? io.err : undefined
    this.#bar = (text) => paint('cyan', text)
    this.#total = total
  }

  show(count: number): void {
    const now = performance.now()
    if (this.#output === undefined || now - this.#shownAt < everyMs) return
    this.#shownAt = now
    const filled = Math.round((count / this.#total) * width)
    const bar = this.#bar('█'.repeat(filled)) + '░'.repeat(width - filled)
    this.#output.write(`\r${bar} ${figure(count)} of ${figure(this.#total)}\x1b[K`)
  }

  clear(): void {
    if (this.#shownAt > 0) this.#output?.write('\r\x1b[K')
  }
}
