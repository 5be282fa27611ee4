/*
 * Why: a shop's process runs for months, and what grows a little with each callback ends it one night. A server gets a steady load of true
 * callbacks, repeats, refused ones, wrong credentials, conflicts, interrupted bodies and handlers that fail, while an operator lists, counts
 * and prunes. Once it is warm, what it holds must stay as it is: heap after a collection, resident memory, descriptors, timers and every
 * other resource of Node. Then it must have paid everything exactly once, and end by itself when it is closed.
 *
 * `node __tests__/soak/run.mjs [--inbox memory --inbox sqlite --inbox postgres] [--minutes 10] [--rate 200] [--leak timer] [--json]`; each
 * inbox in turn. Ends with 1 where something grew. `--leak` makes the server leak, to see that it is found: see `leaks` in server.mjs.
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
