/*
 * Why: every callback is parsed before anything else is known of it, also a forged one. This shows what the rules of callbackSchema cost
 * over the least that any code with these rules must do (the floor), and over good parts from the registry put together by hand.
 * Fresh processes, parsers in turns, medians of ratios.
 */
import { corpus } from './support/corpus.mjs'
import { measure, report, spread, tell } from './support/report.mjs'

const processes = 9

const runs = []
for (let run = 0; run < processes; run++) {
  runs.push(await measure('parse-once.mjs'))
  tell(`process ${run + 1} of ${processes}`)
}

const groups = Object.keys(corpus)
const over = (pick) => spread(runs.map(pick))
report(
  'A query string to a validated conversion, in process',
  [
    { what: 'parseCallback ÷ floor', ...over(({ floor }) => floor.all), atMost: 2 },
    ...groups.map((group) => ({ what: `  ${group}`, ...over(({ floor }) => floor[group]) })),
    { what: 'parseCallback ÷ fast-querystring + ajv', ...over(({ parts }) => parts.all), atMost: 0.8 },
    ...groups.map((group) => ({ what: `  ${group}`, ...over(({ parts }) => parts[group]) })),
    ...groups.map((group) => ({
      what: `parseCallback, ${group}`,
      ...over((run) => run.microseconds[group]),
      unit: 'µs',
    })),
    ...groups.map((group) => ({ what: `floor, ${group}`, ...over((run) => run.floorMicroseconds[group]), unit: 'µs' })),
  ],
  [`${processes} processes; each group of queries weighs the same.`],
)
