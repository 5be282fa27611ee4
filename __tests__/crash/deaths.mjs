/*
 * Kills this process at a step of a delivery. Some steps are in the shop's own functions, which call `step`. The others are before or after
 * a commit, which is recognised by the statements of its transaction. This file watches the database drivers, so the package needs no hooks.
 */

/** The steps, in the order in which a conversion reaches them. */
export const steps = [
  'recording', // the callback is written, but not committed
  'recorded', // the callback is committed, but not answered
  'confirmed', // `confirm` has said yes, but nothing is reserved
  'reserving', // the reservation is written, but not committed
  'reserved', // the reservation is committed, but the handler is not called
  'handling', // the handler runs
  'inserted', // the effect is written in the open transaction of `commit`
  'committing', // the effect and the delivery's mark are written, but not committed
  'committed', // both are committed, but `commit` has not returned to the handler
  'announced', // an effect outside the database is made, but the handler has not returned
  'marking', // the handler has returned, and the delivery's mark is written, but not committed
  'marked', // the mark is committed, but the commit has not returned to the package
]

const isEmpty = (value) => typeof value === 'string' && value.includes('"params":{}')

const writes = {
  callback: (sql) => /^\s*INSERT [\w ]*INTO \S*deliveries\b/i.test(sql),
  // SQLite keeps a reservation in the row of the order.
  reservation: (sql) => /^\s*INSERT INTO \S*(reservations\b|claims \(id, identity, holder\))/i.test(sql),
  effect: (sql) => /^\s*INSERT INTO "?rewards\b/i.test(sql),
  // A row as `prune` and `erase` leave it.
  emptied: (sql, values) => /deliveries\b/i.test(sql) && values.flat().some(isEmpty),
  mark: (sql, values) => /^\s*UPDATE \S*deliveries\b/i.test(sql) && values.flat().includes('done'),
}

/** The steps before and after a commit, and how its transaction is recognised. */
const commits = [
  { before: 'recording', after: 'recorded', has: ({ callback }) => callback },
  { before: 'reserving', after: 'reserved', has: ({ reservation }) => reservation },
  { before: 'committing', after: 'committed', has: ({ effect, mark }) => effect && mark },
  { before: 'marking', after: 'marked', has: ({ effect, mark }) => mark && !effect },
  { before: 'emptying', after: 'emptied', has: ({ emptied }) => emptied },
]

export class Death {
  /** The step at which to die; undefined to live. */
  at

  constructor(at) {
    this.at = at
  }

  step(name) {
    if (name === this.at) process.kill(process.pid, 'SIGKILL')
  }

  /** Watches one connection. Call the result before each statement, and the function that it returns after the statement. */
  #watch() {
    let written = {}
    return (sql, values) => {
      if (/^\s*BEGIN\b/i.test(sql)) written = {}
      for (const [what, is] of Object.entries(writes)) if (is(sql, values)) written[what] = true
      const reached = sql === 'COMMIT' ? commits.filter(({ has }) => has(written)) : []
      for (const { before } of reached) this.step(before)
      return () => {
        for (const { after } of reached) this.step(after)
      }
    }
  }

  /** Watches all SQLite connections of this process as one, since only one of them writes. */
  async watchSqlite() {
    const { StatementSync } = await import('node:sqlite')
    const { run } = StatementSync.prototype
    const saw = this.#watch()
    StatementSync.prototype.run = function (...values) {
      const done = saw(this.sourceSQL, values)
      const result = run.apply(this, values)
      done()
      return result
    }
  }

  /** A pool whose connections are watched. */
  async pool(connectionString) {
    const { default: pg } = await import('pg')
    const watch = () => this.#watch()
    class Client extends pg.Client {
      #saw = watch()

      query(...args) {
        const [first, second] = args
        const sql = typeof first === 'string' ? first : (first?.text ?? '')
        const done = this.#saw(sql, first?.values ?? (Array.isArray(second) ? second : []))
        const result = super.query(...args)
        if (typeof result?.then !== 'function') return result
        return result.then((value) => {
          done()
          return value
        })
      }
    }
    const pool = new pg.Pool({ connectionString, max: 20, connectionTimeoutMillis: 5_000, Client })
    pool.on('error', () => undefined)
    return pool
  }
}
