/*
 * Why: what a request costs without the network and the framework is ours alone. Measures processor time and memory of a request in process,
 * with a request and a response of node:http whose socket throws all bytes away: of the package with the memory inbox, of a recorder written out
 * by hand, and of a listener that only answers. Each measurement is a fresh process; variants take turns.
 */
import { measure, report, spread, tell } from './support/report.mjs'

const turns = 5
const variants = ['ours', 'recorder', 'bare']
// Room for what all measured requests allocate, so that nothing is collected meanwhile.
const nodeArgs = ['--expose-gc', '--max-semi-space-size=256', '--min-semi-space-size=256']

const results = []
for (let turn = 0; turn < turns; turn++) {
  const result = {}
  for (const variant of turn % 2 ? variants.toReversed() : variants)
    result[variant] = await measure('process-once.mjs', [variant], { nodeArgs })
  results.push(result)
  tell(`turn ${turn + 1} of ${turns}`)
}
const time = (variant) => ({ ...spread(results.map((each) => each[variant].micros)), unit: 'µs', digits: 1 })
const memory = (variant) => ({ ...spread(results.map((each) => each[variant].bytes / 1_024)), unit: 'KiB', digits: 1 })
report(
  'A request in process',
  [
    { what: 'package, time', ...time('ours'), atMost: 10 },
    { what: 'package, memory', ...memory('ours'), atMost: 12 },
    { what: 'package ÷ recorder, time', ...spread(results.map(({ ours, recorder }) => ours.micros / recorder.micros)) },
    { what: 'recorder, time', ...time('recorder') },
    { what: 'recorder, memory', ...memory('recorder') },
    { what: 'only an answer, time', ...time('bare') },
    { what: 'only an answer, memory', ...memory('bare') },
  ],
  [`${turns} processes each.`],
)
