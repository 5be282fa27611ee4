import type { DatabaseSync } from 'node:sqlite'
import type { Worker } from 'node:worker_threads'
import { debug } from '../../debug.js'
import { cutLog } from './sqlite-worker.js'

const mebibyte = 1_048_576
const maxBytes = 12 * mebibyte
const patienceMs = 1_000
const againMs = 5_000

/**
 * Keeps the log of a file small. SQLite moves it into the file after a commit, every thousand pages; but while a connection reads for long
 * the log grows, and the first commit after that would move all of it, in this thread. So a log that has grown is left to another thread
 * until it is small again.
 */
export class SqliteLog {
  readonly #db: DatabaseSync
  readonly #file: string
  #isLarge = false
  #isClosed = false
  #worker: Worker | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(db: DatabaseSync, file: string) {
    this.#db = db
    this.#file = file
    // What SQLite itself cuts when it begins the log anew.
    db.exec(`PRAGMA journal_size_limit = ${String(8 * mebibyte)}`)
  }

  /** To be told the size before each commit. */
  watch(bytes: number): void {
    if (bytes <= maxBytes || this.#isLarge) return
    this.#isLarge = true
    this.#checkpointAfter(0)
    this.#cutIn(0) // not while the file is locked
  }

  async close(): Promise<void> {
    this.#isClosed = true
    clearTimeout(this.#timer)
    await this.#worker?.terminate()
  }

  /** Until the log is cut. Never rejects. */
  async #cut(): Promise<void> {
    let isCut = false
    try {
      const { done, worker } = cutLog(this.#file, { mustRewrite: false, patienceMs })
      worker.unref()
      this.#worker = worker
      isCut = await done
    } catch (error) {
      debug.inbox('the log could not be cut: %s', String(error))
      this.#checkpointAfter(1_000) // better slowly than not at all
    }
    this.#worker = undefined
    if (isCut) {
      this.#checkpointAfter(1_000)
      this.#isLarge = false
    } else {
      this.#cutIn(againMs)
    }
  }

  #cutIn(ms: number): void {
    if (!this.#isClosed) this.#timer = setTimeout(() => void this.#cut(), ms).unref()
  }

  #checkpointAfter(pages: number): void {
    if (!this.#isClosed) this.#db.exec(`PRAGMA wal_autocheckpoint = ${String(pages)}`)
  }
}
