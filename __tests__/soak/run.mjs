/*
 * Why: a shop's process runs for months, and a small leak with each callback would end it. A server gets a steady load of valid callbacks,
 * repeats, refused callbacks, wrong credentials, conflicts, interrupted bodies and failing handlers, while an operator lists, counts and
 * prunes. After a warm-up its resources must stay flat: heap after a collection, resident memory, descriptors, timers and every other
 * resource of Node. In the end the server must have paid each conversion exactly once, and exit by itself after `close`.
 *
 * `node __tests__/soak/run.mjs [--inbox memory --inbox sqlite --inbox postgres] [--minutes 10] [--rate 200] [--leak timer] [--json]`
 * soaks each inbox in turn. Exits with 1 if a resource grew. `--leak` adds a leak that the soak must find: see `leaks` in server.mjs.
 */
import { parseArgs } from 'node:util'
import { soak } from './soak.mjs'

const { values } = parseArgs({
  options: {
    inbox: { type: 'string', multiple: true, default: ['sqlite', 'postgres', 'memory'] },
    minutes: { type: 'string', default: '10' },
    rate: { type: 'string', default: '200' }, // requests a second
    leak: { type: 'string' },
    json: { type: 'boolean', default: false }, // with every sample
  },
})

for (const inbox of values.inbox) {
  const options = { inbox, minutes: Number(values.minutes), rate: Number(values.rate), leak: values.leak }
  const { series, rows, ...figures } = await soak(options)
  if (values.json) console.log(JSON.stringify({ ...figures, rows, series }))
  else {
    console.log(figures)
    console.table(rows)
  }
  if (figures.problems.length > 0) process.exitCode = 1
}
