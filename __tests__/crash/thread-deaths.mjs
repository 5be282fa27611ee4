/*
 * Kills this process at a step of what `erase` does in a thread of its own: inside the statement that writes the file anew, or moves its
 * log, at a random moment of the time that it took before; or right after a statement. What runs in the thread gets a few lines in front.
 */
import { createRequire } from 'node:module'

/** By step, the statement that it belongs to, and whether it is inside it. */
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
  const { sql: watched, isInside, times } = require('node:worker_threads').workerData.death
  const around = (sql, work) => {
    if (sql !== watched) return work()
    Atomics.store(times, 0, 1)
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
  let tookMs
  threads.Worker = class extends threads.Worker {
    constructor(code, { workerData, ...options }) {
      if (!workerData.mustRewrite) {
        super(code, { workerData, ...options })
        return
      }
      const times = new Int32Array(new SharedArrayBuffer(8)) // whether it has begun, and how many microseconds it took
      super(inFront + code, { workerData: { ...workerData, death: { ...statement, times } }, ...options })
      if (statement.isInside && tookMs !== undefined) {
        const dieAfterMs = Math.random() * tookMs
        const die = () => process.kill(process.pid, 'SIGKILL')
        void Promise.resolve(Atomics.waitAsync(times, 0, 0).value).then(() => setTimeout(die, dieAfterMs))
      }
      this.once('exit', () => (tookMs = times[1] / 1_000))
    }
  }
}
