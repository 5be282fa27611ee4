import type { DatabaseSync } from 'node:sqlite'
import { setTimeout as wait } from 'node:timers/promises'
import { debug } from '../../debug.js'
import { closeSync, openSync, readSync } from 'node:fs'
import { Worker } from 'node:worker_threads'

const mebibyte = 1_048_576
/** How many pages of the log are moved into the file at once: SQLite's own default. */
const pagesAtOnce = 1_000
/** A log file of more bytes is truncated. */
const maxBytes = 12 * mebibyte
/** Milliseconds between two tries to end the log. Another connection can prevent it; such a try costs little. */
const pauseMs = 50
/** Milliseconds until another thread is tried after one failed. */
const againMs = 5_000
/** Milliseconds without an answer after which the thread counts as failed. */
const silentMs = 30_000
/** Milliseconds without work after which the thread ends, since it keeps memory. */
const idleMs = 60_000

/**
 * Keeps the write-ahead log small. By default SQLite moves the log into the file in the commit that makes the log a thousand pages long.
 * That commit takes two more fsyncs, and much longer if a slow reader made the log large. So a thread moves the log, while there is much to
 * write. If there can be no thread, SQLite moves the log by itself.
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
    // The size to which SQLite truncates the file when it begins the log anew.
    db.exec(`PRAGMA journal_size_limit = ${String(8 * mebibyte)}`)
    this.#leaveToSqlite(0)
  }

  /** Pending for some milliseconds, while the thread ends the log. A write meanwhile would find the file locked, or prevent the end. */
  get ending(): Promise<unknown> | undefined {
    return this.#ending
  }

  /** Called before each commit with the size of the log's file. */
  watch(bytes: number): void {
    this.#bytes = bytes
    if (this.#isMoving) {
      if (performance.now() - this.#askedAt > silentMs) this.#leaveToSqlite(pagesAtOnce)
    } else if (this.#length.isOver(pagesAtOnce)) {
      void this.#move()
    }
  }

  /**
   * Truncates the log, with `isRewriting` after a thread has written the whole file anew. Resolves with false if other connections prevented
   * that for `forMs`.
   */
  async cut(forMs: number, isRewriting = false): Promise<boolean> {
    const worker = new SqliteWorker(this.#file)
    try {
      if (isRewriting) await worker.rewrite()
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

  /** Lets a thread move the log into the file and end the log. Resolves with false if other connections prevented that in time. */
  async #end(worker: SqliteWorker, mustCut: () => boolean, forMs: number): Promise<boolean> {
    const giveUpAt = performance.now() + forMs
    for (;;) {
      this.#askedAt = performance.now()
      await worker.checkpoint('PASSIVE')
      // Moves the little that was written meanwhile. Nobody can write while this second part is moved.
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

  /** Resolves when the log begins anew. Never rejects. */
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

const headerBytes = 32
const frameHeaderBytes = 24
const saltBytes = 8
/** The offsets of the salt in the header of the log and in the header of a page. */
const saltAt = 16
const frameSaltAt = 8
const pageSizeAt = 8

/**
 * Counts the pages of a log. The size of its file does not tell them, since SQLite begins a log anew by overwriting the old one. Each page
 * that counts has the salt of the log's header, which changes each time (https://sqlite.org/fileformat2.html#walformat).
 */
export class LogLength {
  readonly #descriptor: number | undefined
  readonly #header = Buffer.alloc(headerBytes)
  readonly #frameSalt = Buffer.alloc(saltBytes)
  readonly #leftSalt = Buffer.alloc(saltBytes)
  #left = 0

  constructor(path: string) {
    try {
      this.#descriptor = openSync(path, 'r')
    } catch {
      // There is no log, so there are no pages.
    }
  }

  /** Whether the log has more pages than that, not counting the skipped ones. */
  isOver(pages: number): boolean {
    const descriptor = this.#descriptor
    if (descriptor === undefined || readSync(descriptor, this.#header, 0, headerBytes, 0) < headerBytes) return false
    const salt = this.#header.subarray(saltAt, saltAt + saltBytes)
    if (!salt.equals(this.#leftSalt)) this.#left = 0
    const frameBytes = frameHeaderBytes + this.#header.readUInt32BE(pageSizeAt)
    const at = headerBytes + (this.#left + pages) * frameBytes + frameSaltAt
    return readSync(descriptor, this.#frameSalt, 0, saltBytes, at) === saltBytes && this.#frameSalt.equals(salt)
  }

  /** Skips the first pages in the count, until the log begins anew. */
  leaveOut(pages: number): void {
    this.#left = pages
    this.#header.copy(this.#leftSalt, 0, saltAt, saltAt + saltBytes)
  }

  close(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor)
  }
}

/**
 * The code of a thread with a connection of its own, for work that takes long in a large file or that waits for the disk longer than a commit.
 * It is a string, so that it needs no file of its own in the bundle. Only VACUUM waits for locks.
 */
const code = `
process.emitWarning = () => undefined
const { existsSync } = require('node:fs')
const { pathToFileURL } = require('node:url')
const { DatabaseSync } = require('node:sqlite')
const { parentPort, workerData } = require('node:worker_threads')
function open() {
  try {
    return new DatabaseSync(pathToFileURL(workerData).href + '?mode=rw') // mode=rw makes no new file if this one is gone
  } catch (error) {
    if (!existsSync(workerData)) throw error
    return new DatabaseSync(workerData) // Node before 22.15 would read a URL as a path
  }
}
const db = open()
db.exec('PRAGMA synchronous = FULL; PRAGMA secure_delete = ON; PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -16384')
const tasks = {
  rewrite() {
    db.exec('PRAGMA busy_timeout = 30000; VACUUM; PRAGMA busy_timeout = 0')
    return true
  },
  checkpoint: (mode) => db.prepare('PRAGMA wal_checkpoint(' + mode + ')').get().busy === 0,
}
db.exec('PRAGMA busy_timeout = 0')
parentPort.on('message', ({ task, mode }) => parentPort.postMessage(tasks[task](mode)))
`

/** `PASSIVE` makes nobody wait. The others make the log begin anew; `TRUNCATE` also makes its file empty. */
export type Checkpoint = 'PASSIVE' | 'RESTART' | 'TRUNCATE'

/** A thread that moves the log of a file into it, or writes the file anew. One task at a time. */
export class SqliteWorker {
  readonly #worker: Worker
  #pending: { readonly resolve: (isDone: boolean) => void; readonly reject: (error: Error) => void } | undefined
  #failure: Error | undefined

  constructor(file: string) {
    this.#worker = new Worker(code, { eval: true, workerData: file, execArgv: [], env: {} })
    this.#worker.on('message', (isDone: boolean) => this.#pending?.resolve(isDone))
    this.#worker.on('error', this.#fail)
    this.#worker.on('exit', () => {
      this.#fail(new Error('The thread has ended.'))
    })
  }

  rewrite(): Promise<boolean> {
    return this.#do({ task: 'rewrite' })
  }

  /** Resolves with false if another connection prevented it. */
  checkpoint(mode: Checkpoint): Promise<boolean> {
    return this.#do({ task: 'checkpoint', mode })
  }

  async end(): Promise<void> {
    await this.#worker.terminate()
  }

  /** Keeps the process alive while the thread works. Rejects with the thread's error; the thread has ended then. */
  async #do(task: object): Promise<boolean> {
    if (this.#failure) throw this.#failure
    this.#worker.ref()
    try {
      return await new Promise((resolve, reject) => {
        this.#pending = { resolve, reject }
        this.#worker.postMessage(task)
      })
    } finally {
      this.#worker.unref()
    }
  }

  readonly #fail = (error: Error): void => {
    this.#failure ??= error
    this.#pending?.reject(this.#failure)
  }
}
