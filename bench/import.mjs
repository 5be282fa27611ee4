/*
 * Why: importing the package delays every start of every process, function and test file. Measures milliseconds and heap of importing the
 * main entry, in fresh processes, minus those of an empty import. Fails if modules are loaded that are only needed later.
 */
import { measure, report, spread, tell } from './support/report.mjs'

const processes = 15
const formats = ['esm', 'cjs']

/** Milliseconds and heap of importing the package, minus those of importing an empty module. */
async function cost(format, nodeArgs) {
  const bare = await measure('import-once.mjs', [format, 'node:path'], { nodeArgs })
  const ours = await measure('import-once.mjs', [format, 'conversion-webhook'], { nodeArgs })
  if (ours.loaded.length > 0)
    throw new Error(`the import loads modules that are only needed later: ${ours.loaded.join(', ')}`)
  return { ms: ours.ms - bare.ms, mebibytes: (ours.heapBytes - bare.heapBytes) / 1_048_576 }
}

const runs = Object.fromEntries(formats.map((format) => [format, []]))
for (let run = 0; run < processes; run++) {
  for (const format of formats) {
    const { ms } = await cost(format, [])
    const { mebibytes } = await cost(format, ['--expose-gc'])
    runs[format].push({ ms, mebibytes })
  }
  tell(`run ${run + 1} of ${processes}`)
}

const over = (format, figure) => spread(runs[format].map((run) => run[figure]))
report(
  'Importing the main entry',
  [
    { what: 'import, time', ...over('esm', 'ms'), unit: 'ms', digits: 1, atMost: 15 },
    { what: 'import, heap', ...over('esm', 'mebibytes'), unit: 'MiB', atMost: 3 },
    { what: 'require, time', ...over('cjs', 'ms'), unit: 'ms', digits: 1, atMost: 15 },
    { what: 'require, heap', ...over('cjs', 'mebibytes'), unit: 'MiB', atMost: 3 },
  ],
  [`${processes} processes each; neither ajv's compiler nor node:crypto, express, pg or pg-boss was loaded.`],
)
