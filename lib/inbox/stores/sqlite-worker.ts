import { Worker } from 'node:worker_threads'

/**
 * What takes seconds in a large file runs in a thread of its own, with a connection of its own. Its code is a string, which needs no file
 * beside the bundle and no loader.
 *
 * A checkpoint that cuts the log keeps writers waiting for as long as it waits for readers. So most of it is done by one that keeps nobody
 * waiting, and the cut is tried often and briefly.
 */
const code = `
process.emitWarning = () => undefined
const { existsSync } = require('node:fs')
const { pathToFileURL } = require('node:url')
const { DatabaseSync } = require('node:sqlite')
const { parentPort, workerData } = require('node:worker_threads')
const { file, mustRewrite, patienceMs } = workerData
function open() {
  try {
    return new DatabaseSync(pathToFileURL(file).href + '?mode=rw') // makes no file where there is none any more
  } catch (error) {
    if (!existsSync(file)) throw error
    return new DatabaseSync(file) // Node before 22.15 takes a URL for a path
  }
}
const db = open()
try {
  db.exec('PRAGMA synchronous = FULL; PRAGMA secure_delete = ON; PRAGMA wal_autocheckpoint = 0; PRAGMA busy_timeout = 30000')
  if (mustRewrite) db.exec('VACUUM')
  db.exec('PRAGMA busy_timeout = 20')
  const giveUpAt = performance.now() + patienceMs
  const cut = () => {
    db.exec('PRAGMA wal_checkpoint(PASSIVE)')
    return db.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get().busy === 0
  }
  let isCut = cut()
  while (!isCut && performance.now() < giveUpAt) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100)
    isCut = cut()
  }
  parentPort.postMessage(isCut)
} finally {
  db.close()
}
`

interface Task {
  /** Whether the whole file is written anew before its log is cut. */
  readonly mustRewrite: boolean
  /** How long the cut is tried. */
  readonly patienceMs: number
}

/** A thread that cuts the log of a file; `done` resolves with whether it could, and rejects with what went wrong. */
export function cutLog(file: string, task: Task): { readonly done: Promise<boolean>; readonly worker: Worker } {
  const worker = new Worker(code, { eval: true, workerData: { file, ...task }, execArgv: [], env: {} })
  const done = new Promise<boolean>((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('error', reject)
    worker.once('exit', () => {
      reject(new Error('The thread that cuts the log has ended.'))
    })
  })
  return { done, worker }
}
