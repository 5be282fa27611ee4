/* The full proof, `npm run test:crash`: every run one after another, and the figures of all of them; ends with 1 where one broke a promise. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const runs = [
  'run.mjs --inbox sqlite --shop none --kills 50',
  'run.mjs --inbox sqlite --shop naive --kills 50',
  'run.mjs --inbox sqlite --shop bound --kills 50',
  'run.mjs --inbox postgres --shop bound --kills 50 --restarts 4',
  'run.mjs --inbox postgres --shop naive --library drizzle --kills 20 --restarts 2',
  'rivals.mjs --inbox sqlite --shop naive --rounds 10',
  'rivals.mjs --inbox sqlite --shop bound --rounds 10',
  'rivals.mjs --inbox postgres --shop naive --rounds 10',
  'rivals.mjs --inbox postgres --shop bound --rounds 10',
]

const columns = [
  'kills',
  'answered200',
  'owed',
  'paid',
  'lost',
  'doubled',
  'ordersWithTwoPaidClaims',
  'effectsElsewhere',
  'effectsElsewhereTwice',
]

const pauses = spawnSync(process.execPath, [fileURLToPath(new URL('pauses.mjs', import.meta.url))], {
  encoding: 'utf8',
  stdio: ['ignore', 'pipe', 'inherit'],
})
console.log(`pauses.mjs\n${pauses.stdout}`)
if (pauses.status !== 0) process.exitCode = 1

const figures = {}
for (const run of runs) {
  const [file, ...options] = run.split(' ')
  const path = fileURLToPath(new URL(file, import.meta.url))
  const { status, stdout } = spawnSync(process.execPath, [path, ...options, '--json'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  console.log(`${run}\n${stdout}`)
  if (status !== 0) process.exitCode = 1
  if (stdout === '') continue
  const { others, ...summary } = JSON.parse(stdout)
  const shown = Object.fromEntries(columns.map((column) => [column, summary[column]]))
  figures[run] = { ...shown, unavailable: others['503 with Retry-After'] ?? 0 }
}
console.table(figures)
