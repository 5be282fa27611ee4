/*
 * Why: the package must cost little beside its framework. Measures requests a second of an app with the package, of the same app with a
 * recorder written out by hand, with a middleware that only calls next(), and with a validation library. Each server is a fresh process. This process sends the
 * load over keep-alive connections, each callback with an order of its own. Variants take turns, and each ratio is of one turn.
 */
import { connections, loadApp } from './support/load.mjs'
import { report, spread, tell } from './support/report.mjs'

const turns = 5
const apps = [
  ['express', ['noop', 'recorder', 'ours', 'express-validator', 'zod']],
  ['connect', ['noop', 'ours']],
  ['http', ['noop', 'recorder', 'ours']],
]
const results = []
for (let turn = 0; turn < turns; turn++) {
  const result = {}
  for (const [framework, variants] of apps) {
    // Every other turn runs backwards, so that a machine that slows down favours no variant.
    for (const variant of turn % 2 ? variants.toReversed() : variants)
      result[`${framework} ${variant}`] = await loadApp(framework, variant)
  }
  results.push(result)
  tell(`turn ${turn + 1} of ${turns}`)
}
const rate = (app) => ({ ...spread(results.map((result) => result[app].perSecond)), unit: 'requests/s', digits: 0 })
const time = (app) => ({ ...spread(results.map((result) => result[app].micros)), unit: 'µs', digits: 0 })
const ratio = (a, b) => spread(results.map((result) => result[a].perSecond / result[b].perSecond))
report(
  'Requests over HTTP',
  [
    { what: 'Express 5: package ÷ recorder', ...ratio('express ours', 'express recorder'), atLeast: 0.8 },
    { what: 'node:http: package ÷ recorder', ...ratio('http ours', 'http recorder'), atLeast: 0.8 },
    { what: 'Express 5: package ÷ no-op', ...ratio('express ours', 'express noop') },
    { what: 'Express 5: package ÷ express-validator', ...ratio('express ours', 'express express-validator') },
    { what: 'Express 5: package ÷ zod', ...ratio('express ours', 'express zod') },
    { what: 'Connect 3: package ÷ no-op', ...ratio('connect ours', 'connect noop') },
    { what: 'node:http: package ÷ no-op', ...ratio('http ours', 'http noop') },
    ...apps.flatMap(([framework, variants]) =>
      variants.map((variant) => ({
        what: `${framework}, ${variant}: processor time a request`,
        ...time(`${framework} ${variant}`),
      })),
    ),
    ...apps.flatMap(([framework, variants]) =>
      variants.map((variant) => ({ what: `${framework}, ${variant}`, ...rate(`${framework} ${variant}`) })),
    ),
  ],
  [`${connections} connections, ${turns} turns; server and load have a core each where there are two.`],
)
