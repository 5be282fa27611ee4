/*
 * Kills this process at a step of a delivery. Some steps are in the shop's own functions, which call `step`. The others are before or after
 * a commit: told by what its transaction has written, since the drivers are watched from outside, and nothing in the package knows of it.
 */

/** The steps, in the order in which a conversion comes to them. */
export const steps = [
  'recording', // a callback is written, and not committed
  'recorded', // it is committed, and not answered
  'confirmed', // `confirm` has said yes, and nothing is reserved
  'reserving', // the reservation is written, and not committed
  'reserved', // it is committed, and the handler not called
  'handling', // the handler runs
  'inserted', // the effect is made, in the open transaction of `commit`
  'committing', // the delivery is marked with it, and nothing committed
  'committed', // both are committed, and the handler does not know
  'announced', // an effect elsewhere is made, and the handler has not returned
  'marking', // it has returned, and its mark is written, and not committed
  'marked', // it is committed, and nobody knows
]

const isEmpty = (value) => typeof value === 'string' && value.includes('"params":{}')

const writes = {
  callback: (sql) => /^\s*INSERT [\w ]*INTO \S*deliveries\b/i.test(sql),
  // SQLite has it in the row of the order.
  reservation: (sql) => /^\s*INSERT INTO \S*(reservations\b|claims \(id, identity, holder\))/i.test(sql),
  effect: (sql) => /^\s*INSERT INTO "?rewards\b/i.test(sql),
  // What `prune` and `erase` leave.
  emptied: (sql, values) => /deliveries\b/i.test(sql) && values.flat().some(isEmpty),
  mark: (sql, values) => /^\s*UPDATE \S*deliveries\b/i.test(sql) && values.flat().includes('done'),
}

/** The steps around a commit, and what its transaction has written. */
const commits = [
  { before: 'recording', after: 'recorded', has: ({ callback }) => callback },
  { before: 'reserving', after: 'reserved', has: ({ reservation }) => reservation },
  { before: 'committing', after: 'committed', has: ({ effect, mark }) => effect && mark },
  { before: 'marking', after: 'marked', has: ({ effect, mark }) => mark && !effect },
  { before: 'emptying', after: 'emptied', has: ({ emptied }) => emptied },
]

export class Death {
  /** The step; none where nobody is to die. */
  at

  constructor(at) {
    this.at = at
  }

  step(name) {
    if (name === this.at) process.kill(process.pid, 'SIGKILL')
  }

  /** The steps around the commits of one connection: tells of each statement, and gives what to call after it. */
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

  /** Watches every connection to SQLite in this process; there is one that writes. */
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
