import type { DatabaseSync } from 'node:sqlite'
import { setTimeout as wait } from 'node:timers/promises'
import { debug } from '../../debug.js'
import { closeSync, openSync, readSync } from 'node:fs'
import { Worker } from 'node:worker_threads'

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

const headerBytes = 32
const frameHeaderBytes = 24
const saltBytes = 8
/** Where the salt is in the header of the log, and in that of a page. */
const saltAt = 16
const frameSaltAt = 8
const pageSizeAt = 8

/**
 * How many pages a log has, of which the size of its file says nothing: SQLite begins it anew by writing over what is there. Each page of
 * it bears the salt of its header, which is another one each time (https://sqlite.org/fileformat2.html#walformat).
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
      // There is none: it is never long.
    }
  }

  /** Whether there are more pages than that, without those that were left out of account. */
  isOver(pages: number): boolean {
    const descriptor = this.#descriptor
    if (descriptor === undefined || readSync(descriptor, this.#header, 0, headerBytes, 0) < headerBytes) return false
    const salt = this.#header.subarray(saltAt, saltAt + saltBytes)
    if (!salt.equals(this.#leftSalt)) this.#left = 0
    const frameBytes = frameHeaderBytes + this.#header.readUInt32BE(pageSizeAt)
    const at = headerBytes + (this.#left + pages) * frameBytes + frameSaltAt
    return readSync(descriptor, this.#frameSalt, 0, saltBytes, at) === saltBytes && this.#frameSalt.equals(salt)
  }

  /** Leaves the first pages out of account until the log begins anew. */
  leaveOut(pages: number): void {
    this.#left = pages
    this.#header.copy(this.#leftSalt, 0, saltAt, saltAt + saltBytes)
  }

  close(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor)
  }
}

/**
 * The code of a thread with a connection of its own, for what takes long in a large file or waits for the disk to take more than a commit.
 * A string needs no file beside the bundle and no loader. Only VACUUM waits for locks.
 */
const code = `
process.emitWarning = () => undefined
const { existsSync } = require('node:fs')
const { pathToFileURL } = require('node:url')
const { DatabaseSync } = require('node:sqlite')
const { parentPort, workerData } = require('node:worker_threads')
function open() {
  try {
    return new DatabaseSync(pathToFileURL(workerData).href + '?mode=rw') // makes no file where there is none any more
  } catch (error) {
    if (!existsSync(workerData)) throw error
    return new DatabaseSync(workerData) // Node before 22.15 takes a URL for a path
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

/** `PASSIVE` keeps nobody waiting; the others make the log begin anew, with `TRUNCATE` as an empty file. */
export type Checkpoint = 'PASSIVE' | 'RESTART' | 'TRUNCATE'

/** A thread that moves the log of a file into it, or writes the file anew. One task at a time. */
export class SqliteWorker {
  readonly #worker: Worker
  #pending: { readonly resolve: (isDone: boolean) => void; readonly reject: (error: Error) => void } | undefined
  #failure: Error | undefined

  constructor(file: string) {
    this.#worker = new Worker(code, { eval: true, workerData: file, execArgv: [], env: {} })
    this.#worker.on('message', (isDone: boolean) => this.#pending?.resolve(isDone))
    this.#worker.on('error', (error: Error) => {
      this.#fail(error)
    })
    this.#worker.on('exit', () => {
      this.#fail(new Error('The thread has ended.'))
    })
  }

  rewrite(): Promise<boolean> {
    return this.#do({ task: 'rewrite' })
  }

  /** Resolves with false where another connection was in the way. */
  checkpoint(mode: Checkpoint): Promise<boolean> {
    return this.#do({ task: 'checkpoint', mode })
  }

  async end(): Promise<void> {
    await this.#worker.terminate()
  }

  /** The process stays while the thread works, and no longer. Rejects with what went wrong; the thread has ended then. */
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

  #fail(error: Error): void {
    this.#failure ??= error
    this.#pending?.reject(this.#failure)
  }
}
