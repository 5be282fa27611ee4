/*
 * Why: the package must cost little beside its framework. Measures requests a second of an app with the package, of the same app with a
 * middleware that only calls next(), and of the same app with a validation library. Each server is a fresh process. This process sends the
 * load over keep-alive connections, each callback with an order of its own. Variants take turns, and each ratio is of one turn.
 */
import { connections, requestRate } from './support/load.mjs'
import { report, spread, tell } from './support/report.mjs'

const turns = 5
const apps = [
  ['express', ['noop', 'ours', 'express-validator', 'zod']],
  ['connect', ['noop', 'ours']],
  ['http', ['noop', 'ours']],
]
const results = []
for (let turn = 0; turn < turns; turn++) {
  const result = {}
  for (const [framework, variants] of apps) {
    // Every other turn runs backwards, so that a machine that slows down favours no variant.
    for (const variant of turn % 2 ? variants.toReversed() : variants)
      result[`${framework} ${variant}`] = await requestRate(framework, variant)
  }
  results.push(result)
  tell(`turn ${turn + 1} of ${turns}`)
}
const rate = (app) => ({ ...spread(results.map((result) => result[app])), unit: 'requests/s', digits: 0 })
const ratio = (a, b) => spread(results.map((result) => result[a] / result[b]))
report(
  'Requests over HTTP',
  [
    { what: 'Express 5: package ÷ no-op', ...ratio('express ours', 'express noop'), atLeast: 0.88 },
    {
      what: 'Express 5: package ÷ express-validator',
      ...ratio('express ours', 'express express-validator'),
      atLeast: 4,
    },
    { what: 'Express 5: package ÷ zod', ...ratio('express ours', 'express zod') },
    { what: 'Connect 3: package ÷ no-op', ...ratio('connect ours', 'connect noop') },
    { what: 'node:http: package ÷ no-op', ...ratio('http ours', 'http noop') },
    { what: 'Express 5 with a no-op', ...rate('express noop') },
    { what: 'Express 5 with the package', ...rate('express ours') },
    { what: 'Express 5 with express-validator', ...rate('express express-validator') },
    { what: 'Connect 3 with the package', ...rate('connect ours') },
    { what: 'node:http with the package', ...rate('http ours') },
  ],
  [`${connections} connections, ${turns} turns.`],
)
