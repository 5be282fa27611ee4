/*
 * Why: a durable inbox is only used if it does not slow the shop down. Compares the PostgreSQL inbox with raw pg, on a server that this
 * script starts: rows a second against 100 rows an INSERT, and the delivery of a backlog against claiming and acknowledging rows without
 * rules and jobs. Also measures how soon a first delivery starts.
 */
import { startPostgres } from '../scripts/postgres.mjs'
import { measure, report, spread, tell } from './support/report.mjs'

const turns = 5
const results = []
for (let turn = 0; turn < turns; turn++) {
  const result = {}
  for (const what of ['inbox', 'raw', 'drain', 'drain-default', 'raw-drain', 'latency']) {
    const server = await startPostgres()
    result[what] = await measure('inbox-once.mjs', [what, server.url])
    await server.stop()
  }
  results.push(result)
  tell(`turn ${turn + 1} of ${turns}`)
}

const rate = (what) => ({ ...spread(results.map((result) => result[what])), unit: 'rows/s', digits: 0 })
const ratio = (a, b) => spread(results.map((result) => result[a] / result[b]))
report(
  'The PostgreSQL inbox',
  [
    { what: 'recording ÷ raw, 100 rows an INSERT', ...ratio('inbox', 'raw'), atLeast: 0.5 },
    { what: 'draining ÷ raw claim and ack', ...ratio('drain', 'raw-drain'), atLeast: 0.3 },
    { what: 'the same, 10 at a time ÷ 100 at a time', ...ratio('drain-default', 'drain'), atLeast: 0.5 },
    {
      what: 'first delivery after the answer',
      ...spread(results.map(({ latency }) => latency)),
      unit: 'ms',
      atMost: 20,
    },
    { what: 'recording', ...rate('inbox') },
    { what: 'raw', ...rate('raw') },
    { what: 'draining', ...rate('drain') },
    { what: 'draining, 10 at a time', ...rate('drain-default') },
    { what: 'raw claim and ack', ...rate('raw-drain') },
  ],
  [`100 callers, ${turns} turns; draining with a concurrency of 100, and with the default.`],
)
