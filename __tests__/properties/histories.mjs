/*
 * Why: no order may ever be paid for two claims, in any order of events. A million random histories of claims, rivals, crashes and replays
 * are compared with a model of the rules; `claims.test.ts` runs some thousands of them with every test run.
 *
 * `npm run test:histories`; the environment variables HISTORIES (how many, a million unless said), HISTORIES_SEED and HISTORIES_THREADS
 * (as many as there are cores unless said; each has the next seed). Exits with 1 if a history differs from the model.
 */
import { build } from 'esbuild'
import { mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'

const runs = Number(process.env.HISTORIES ?? 1_000_000)
const seed = Number(process.env.HISTORIES_SEED ?? Date.now() % 2 ** 30)
const threads = Number(process.env.HISTORIES_THREADS ?? availableParallelism())

const folder = mkdtempSync(join(tmpdir(), 'conversion-webhook-histories-'))
const outfile = join(folder, 'property.cjs')
const code = `
  const { parentPort, workerData } = require('node:worker_threads')
  const { checkHistories } = require(workerData.outfile)
  void checkHistories(workerData.runs, workerData.seed).then((counts) => parentPort.postMessage(counts))`

function run(runsOfThread, seedOfThread) {
  return new Promise((resolve, reject) => {
    const workerData = { outfile, runs: runsOfThread, seed: seedOfThread }
    new Worker(code, { eval: true, workerData }).once('message', resolve).once('error', reject)
  })
}

try {
  const property = fileURLToPath(new URL('claims-property.ts', import.meta.url))
  await build({ entryPoints: [property], outfile, bundle: true, platform: 'node', format: 'cjs', logLevel: 'warning' })
  console.log(`${runs} histories, seeds ${seed} to ${seed + threads - 1}`)
  const startedAt = performance.now()
  const each = Array.from({ length: threads }, (_, index) => Math.floor((runs + index) / threads))
  const all = await Promise.all(each.map((count, index) => run(count, seed + index)))
  const sum = {}
  for (const counts of all) for (const [what, count] of Object.entries(counts)) sum[what] = (sum[what] ?? 0) + count
  console.table(sum)
  console.log(`all as the model says, in ${Math.round((performance.now() - startedAt) / 1000)} s`)
} catch (error) {
  console.error(error)
  process.exitCode = 1
} finally {
  rmSync(folder, { recursive: true })
  if (process.exitCode === 1) process.exit()
}
