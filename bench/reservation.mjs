/*
 * Why: before a handler pays, its claim must reserve the order, which takes one more grouped commit for each delivery. Measures what `confirm`
 * and the reservation add to recording and delivering a conversion, on SQLite and PostgreSQL: with `true`, which reserves one key, and with
 * an order of another number, which reserves two. The `confirm` of the benchmark does nothing else.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startPostgres } from '../scripts/postgres.mjs'
import { measure, report, spread, tell } from './support/report.mjs'

const turns = 7
const variants = ['paid', 'paid, true', 'paid, order']
const folder = mkdtempSync(join(tmpdir(), 'conversion-webhook-bench-'))

const inboxes = {
  async SQLite(what, turn) {
    return measure('inbox-once.mjs', [what, join(folder, `${what} ${turn}.db`)])
  },
  async PostgreSQL(what) {
    const server = await startPostgres()
    try {
      return await measure('inbox-once.mjs', [what, server.url])
    } finally {
      await server.stop()
    }
  },
}

const rows = []
for (const [name, run] of Object.entries(inboxes)) {
  const results = []
  for (let turn = 0; turn < turns; turn++) {
    const result = {}
    // Every other turn runs backwards, so that a machine that slows down favours no variant.
    for (const what of turn % 2 ? variants.toReversed() : variants) result[what] = await run(what, turn)
    results.push(result)
    tell(`${name}, turn ${turn + 1} of ${turns}`)
  }
  const ratio = (what, figure) => spread(results.map((result) => result[what][figure] / result.paid[figure]))
  const figures = (figure) => spread(results.map(({ paid }) => paid[figure]))
  rows.push(
    { what: `${name}: processor time with true ÷ without confirm`, ...ratio('paid, true', 'micros') },
    { what: `${name}: processor time with { order } ÷ without`, ...ratio('paid, order', 'micros') },
    { what: `${name}: deliveries a second with true ÷ without`, ...ratio('paid, true', 'perSecond') },
    { what: `${name}: deliveries a second with { order } ÷ without`, ...ratio('paid, order', 'perSecond') },
    { what: `${name}: processor time without confirm`, ...figures('micros'), unit: 'µs', digits: 0 },
    { what: `${name}: deliveries a second without confirm`, ...figures('perSecond'), unit: '/s', digits: 0 },
  )
}
rmSync(folder, { recursive: true })

report('A paid delivery with confirm and its reservation', rows, [
  `32 deliveries at a time on SQLite, 100 on PostgreSQL, ${turns} turns; processor time is that of this process, without the server's.`,
])
