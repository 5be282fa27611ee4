/*
 * Kills this process at a step of the worker thread of `erase`: right after a statement, or inside the statement that rewrites the file or
 * moves its log, at a random moment of the time that the statement took before. The code below is put in front of the thread's own code.
 */
import { createRequire } from 'node:module'

/** The statement of each step, and whether the process dies inside the statement or after it. */
const statements = {
  rewriting: { sql: 'VACUUM', isInside: true },
  rewritten: { sql: 'VACUUM' },
  moving: { sql: 'PRAGMA wal_checkpoint(PASSIVE)', isInside: true },
  moved: { sql: 'PRAGMA wal_checkpoint(PASSIVE)' },
  cut: { sql: 'PRAGMA wal_checkpoint(TRUNCATE)' },
}

export const threadSteps = Object.keys(statements)

const inFront = `{
  const { DatabaseSync, StatementSync } = require('node:sqlite')
  const threads = require('node:worker_threads')
  const { file, sql: watched, isInside, times } = threads.workerData
  threads.workerData = file // the value that the thread's own code expects
  const around = (sql, work) => {
    if (!sql.includes(watched)) return work()
    Atomics.add(times, 0, 1)
    Atomics.notify(times, 0)
    const startedAt = performance.now()
    const result = work()
    times[1] = 1_000 * (performance.now() - startedAt)
    if (!isInside) process.kill(process.pid, 'SIGKILL')
    return result
  }
  const { exec } = DatabaseSync.prototype
  const { get } = StatementSync.prototype
  DatabaseSync.prototype.exec = function (sql) { return around(sql, () => exec.call(this, sql)) }
  StatementSync.prototype.get = function (...values) { return around(this.sourceSQL, () => get.apply(this, values)) }
}
`

export function watchThreads(at) {
  const statement = statements[at]
  if (statement === undefined) return
  const threads = createRequire(import.meta.url)('node:worker_threads')
  const times = new Int32Array(new SharedArrayBuffer(8)) // how often the statement has begun, and the microseconds that it took last
  threads.Worker = class extends threads.Worker {
    constructor(code, { workerData: file, ...options }) {
      super(inFront + code, { workerData: { file, ...statement, times }, ...options })
    }
  }
  if (statement.isInside) void dieInside(times)
}

/** Kills this process inside the statement, but not the first time, which measures how long the statement takes. */
async function dieInside(times) {
  for (let begun = 0; ; begun = Atomics.load(times, 0)) {
    await Atomics.waitAsync(times, 0, begun).value
    const tookMs = times[1] / 1_000
    if (tookMs > 0) setTimeout(() => process.kill(process.pid, 'SIGKILL'), Math.random() * tookMs)
  }
}
