/* `npm run test:crash`: makes all crash runs one after another, and prints one table. Exits with 1 if a run broke a promise. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const runs = [
  'pauses.mjs --inboxes sqlite --ms 60000 --times 20',
  'pauses.mjs --inboxes postgres --ms 60000 --times 10',
  'run.mjs --inbox sqlite --shop none --kills 50 --operators',
  'run.mjs --inbox sqlite --shop naive --kills 50',
  'run.mjs --inbox sqlite --shop bound --kills 50 --operators',
  'run.mjs --inbox postgres --shop bound --kills 50 --restarts 4 --operators',
  'run.mjs --inbox postgres --shop naive --library drizzle --kills 20 --restarts 3',
  'rivals.mjs --inbox sqlite --shop naive --rounds 10',
  'rivals.mjs --inbox sqlite --shop bound --rounds 10',
  'rivals.mjs --inbox postgres --shop naive --rounds 10',
  'rivals.mjs --inbox postgres --shop bound --rounds 10',
]

/** The columns of the table, each computed from the summary of a run or of one kind of pause. */
const columns = {
  kills: ({ kills }) => kills,
  pauses: ({ pauses }) => pauses,
  restarts: ({ restarts }) => restarts,
  operations: ({ operators }) => operators && operators.prunes + operators.erases,
  answered: ({ answered200, answered }) => answered200 ?? answered,
  paid: ({ paid }) => paid,
  lost: ({ lost }) => lost,
  doubled: ({ doubled }) => doubled,
  'two claims paid': ({ ordersWithTwoPaidClaims }) => ordersWithTwoPaidClaims,
  robbed: ({ robbed }) => robbed,
  'elsewhere twice': ({ effectsElsewhereTwice }) => effectsElsewhereTwice,
  'answered 503': ({ others }) => others?.['503 with Retry-After'],
}

const figures = {}
const total = Object.fromEntries(Object.keys(columns).map((name) => [name, 0]))
for (const run of runs) {
  const [file, ...options] = run.split(' ')
  const isRun = file !== 'pauses.mjs'
  const path = fileURLToPath(new URL(file, import.meta.url))
  const { status, stdout } = spawnSync(process.execPath, [path, ...options, ...(isRun ? ['--json'] : [])], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  console.log(`${new Date().toISOString().slice(11, 19)} ${run}\n${stdout}`)
  if (status !== 0) process.exitCode = 1
  const summaries = stdout
    .trim()
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line))
  const row = Object.fromEntries(
    Object.entries(columns).map(([name, of]) => [name, summaries.reduce((sum, each) => sum + (of(each) ?? 0), 0)]),
  )
  for (const name of Object.keys(columns)) total[name] += row[name]
  figures[run.replace('.mjs', '').replaceAll('--', '')] = { ...row, ended: status === 0 ? 'well' : 'with 1' }
}
console.table({ ...figures, total })
