/*
 * Why: every callback is parsed. Compares parseCallback with the same rules written out by hand, which is the least work possible (the
 * floor), and with a parser made of fast-querystring and ajv. Runs in fresh processes, parsers in turns, and prints medians of ratios.
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
    { what: 'parseCallback ÷ floor', ...over(({ floor }) => floor.all), atMost: 1.5 },
    ...groups.map((group) => ({ what: `  ${group}`, ...over(({ floor }) => floor[group]) })),
    { what: 'parseCallback ÷ fast-querystring + ajv', ...over(({ parts }) => parts.all) },
    ...groups.map((group) => ({ what: `  ${group}`, ...over(({ parts }) => parts[group]), atMost: 0.9 })),
    ...groups.map((group) => ({
      what: `parseCallback, ${group}`,
      ...over((run) => run.microseconds[group]),
      unit: 'µs',
    })),
    ...groups.map((group) => ({ what: `floor, ${group}`, ...over((run) => run.floorMicroseconds[group]), unit: 'µs' })),
  ],
  [`${processes} processes; each group of queries weighs the same.`],
)
