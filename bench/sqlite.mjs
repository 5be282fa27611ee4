/*
 * Why: a durable inbox is only used if it does not slow the shop down. Compares the SQLite inbox with writing the same rows without any rules:
 * rows a second against grouped commits and against one commit a row, and the delivery of a backlog. Also measures how soon a first delivery
 * starts.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connections, loadApp } from './support/load.mjs'
import { measure, report, spread, tell } from './support/report.mjs'

const turns = 5
const folder = mkdtempSync(join(tmpdir(), 'conversion-webhook-bench-'))
const results = []
for (let turn = 0; turn < turns; turn++) {
  const result = {}
  for (const what of ['inbox', 'raw', 'least', 'single', 'drain', 'raw-drain', 'latency']) {
    result[what] = await measure('inbox-once.mjs', [what, join(folder, `${what}-${turn}.db`)])
  }
  const apps = { http: 'sqlite', 'memory http': 'ours', 'recorder http': 'recorder' }
  for (const [what, variant] of Object.entries(apps)) {
    const { perSecond, micros } = await loadApp('express', variant, { FILE: join(folder, `http-${turn}.db`) })
    result[what] = perSecond
    result[`${what} µs`] = micros
  }
  results.push(result)
  tell(`turn ${turn + 1} of ${turns}`)
}
rmSync(folder, { recursive: true })

const rate = (what) => ({ ...spread(results.map((result) => result[what])), unit: 'rows/s', digits: 0 })
const ratio = (a, b) => spread(results.map((result) => result[a] / result[b]))
const micros = spread(results.map((each) => each['http µs']))
/** Percent of one core that so many callbacks a day take. */
const share = (perDay) => ((perDay / 86_400) * micros.median) / 1e4
report(
  'The SQLite inbox',
  [
    { what: 'recording ÷ raw group commit', ...ratio('inbox', 'raw'), atLeast: 0.85 },
    { what: 'recording ÷ one row in one table', ...ratio('inbox', 'least'), atLeast: 0.3 },
    { what: 'recording ÷ one commit a row', ...ratio('inbox', 'single'), atLeast: 5 },
    { what: 'Express 5: SQLite inbox ÷ recorder', ...ratio('http', 'recorder http'), atLeast: 0.65 },
    { what: 'Express 5: SQLite ÷ memory inbox', ...ratio('http', 'memory http') },
    {
      what: 'Express 5 with the SQLite inbox: processor time',
      ...micros,
      unit: 'µs',
      digits: 0,
    },
    { what: 'draining ÷ raw claim and ack', ...ratio('drain', 'raw-drain') },
    {
      what: 'first delivery after the answer',
      ...spread(results.map(({ latency }) => latency)),
      unit: 'ms',
      atMost: 20,
    },
    { what: 'recording', ...rate('inbox') },
    { what: 'raw group commit', ...rate('raw') },
    { what: 'one row in one table', ...rate('least') },
    { what: 'one commit a row', ...rate('single') },
    { what: 'Express 5 with the SQLite inbox', ...rate('http'), unit: 'requests/s' },
    { what: 'Express 5 with the memory inbox', ...rate('memory http'), unit: 'requests/s' },
    { what: 'draining', ...rate('drain') },
    { what: 'raw claim and ack', ...rate('raw-drain') },
  ],
  [
    `Computed: over HTTP a million callbacks a day, ${(1e6 / 86_400).toFixed(0)} a second, take ${share(1e6).toFixed(2)} % of a core; ten times as many take ${share(1e7).toFixed(1)} %.`,
    `32 callers, over HTTP ${connections} connections with deliveries running, ${turns} turns; draining with a concurrency of 100.`,
  ],
)
