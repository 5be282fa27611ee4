import { Worker } from 'node:worker_threads'

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
