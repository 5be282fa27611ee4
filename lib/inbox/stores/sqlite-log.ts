import type { DatabaseSync } from 'node:sqlite'
import { setTimeout as wait } from 'node:timers/promises'
import { debug } from '../../debug.js'
import { LogLength } from './sqlite-log-length.js'
import { SqliteWorker } from './sqlite-worker.js'

const mebibyte = 1_048_576
/** Pages of the log that are moved into the file at once: SQLite's own default. */
const pagesAtOnce = 1_000
/** A file of the log that is longer is cut. */
const maxBytes = 12 * mebibyte
/** Between two tries to end the log, which another connection can prevent. A try that ends nothing takes next to no time. */
const pauseMs = 50
/** Before another thread is tried. */
const againMs = 5_000
/** After this time without an answer the thread is not relied on. */
const silentMs = 30_000
/** A thread has memory of its own, so it ends when there was nothing for it to do for this long. */
const idleMs = 60_000

/**
 * Keeps the log of a file small. SQLite by itself moves the log into the file in the commit that makes it a thousand pages long, which
 * keeps this thread waiting for two more fsyncs, and after a connection that read for long for the whole of a large log. So another
 * thread does it, which is there while there is much to write. Where there can be none, SQLite does it by itself.
 */
export class SqliteLog {
  readonly #db: DatabaseSync
  readonly #file: string
  readonly #length: LogLength
  #pagesOfSqlite = -1
  #bytes = 0
  #isMoving = false
  #askedAt = 0
  #isClosed = false
  #worker: SqliteWorker | undefined
  #timer: NodeJS.Timeout | undefined
  #ending: Promise<unknown> | undefined

  constructor(db: DatabaseSync, file: string) {
    this.#db = db
    this.#file = file
    this.#length = new LogLength(`${file}-wal`)
    // What SQLite itself cuts when it begins the log anew.
    db.exec(`PRAGMA journal_size_limit = ${String(8 * mebibyte)}`)
    this.#leaveToSqlite(0)
  }

  /** Pending while another thread ends the log, for some milliseconds: who writes would find the file locked, or keep that from ending. */
  get ending(): Promise<unknown> | undefined {
    return this.#ending
  }

  /** To be told the size of the log's file before each commit. */
  watch(bytes: number): void {
    this.#bytes = bytes
    if (this.#isMoving) {
      if (performance.now() - this.#askedAt > silentMs) this.#leaveToSqlite(pagesAtOnce)
    } else if (this.#length.isOver(pagesAtOnce)) {
      void this.#move()
    }
  }

  /** Cuts the log. Resolves with false where other connections prevented that for so long. */
  cut(forMs: number): Promise<boolean> {
    return this.#cutAfter(() => Promise.resolve(), forMs)
  }

  /** The same, after the whole file was written anew. */
  rewriteFile(forMs: number): Promise<boolean> {
    return this.#cutAfter((worker) => worker.rewrite(), forMs)
  }

  async #cutAfter(work: (worker: SqliteWorker) => Promise<unknown>, forMs: number): Promise<boolean> {
    const worker = new SqliteWorker(this.#file)
    try {
      await work(worker)
      return await this.#end(worker, () => true, forMs)
    } finally {
      await worker.end()
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    clearTimeout(this.#timer)
    await this.#worker?.end()
    this.#length.close()
  }

  /** Moves the log into the file with a thread, and ends it. Resolves with false where other connections prevented that for so long. */
  async #end(worker: SqliteWorker, mustCut: () => boolean, forMs: number): Promise<boolean> {
    const giveUpAt = performance.now() + forMs
    for (;;) {
      this.#askedAt = performance.now()
      await worker.checkpoint('PASSIVE')
      // What was written meanwhile is little. While it is moved, too, nobody can write.
      const ending = worker.checkpoint(mustCut() ? 'TRUNCATE' : 'RESTART')
      this.#ending = ending.catch(() => undefined)
      try {
        if (await ending) return true
      } finally {
        this.#ending = undefined
      }
      if (performance.now() > giveUpAt) return false
      await wait(pauseMs, undefined, { ref: false })
    }
  }

  /** Until the log begins anew. Never rejects. */
  async #move(): Promise<void> {
    clearTimeout(this.#timer)
    this.#isMoving = true
    try {
      this.#worker ??= new SqliteWorker(this.#file)
      await this.#end(this.#worker, () => this.#bytes > maxBytes, Infinity)
      this.#isMoving = false
      this.#length.leaveOut(2 * pagesAtOnce)
      this.#leaveToSqlite(0)
    } catch (error) {
      debug.inbox('no thread moves the log: %s', String(error))
      this.#worker = undefined
      this.#leaveToSqlite(pagesAtOnce)
    }
    if (this.#isClosed) return
    this.#timer = this.#isMoving
      ? setTimeout(() => void this.#move(), againMs)
      : setTimeout(() => void this.#rest(), idleMs)
    this.#timer.unref()
  }

  async #rest(): Promise<void> {
    const worker = this.#worker
    this.#worker = undefined
    await worker?.end()
  }

  /** How long the log may become before SQLite moves it by itself; 0 for any length. */
  #leaveToSqlite(pages: number): void {
    if (this.#isClosed || pages === this.#pagesOfSqlite) return
    this.#pagesOfSqlite = pages
    this.#db.exec(`PRAGMA wal_autocheckpoint = ${String(pages)}`)
  }
}
