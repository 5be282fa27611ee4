/*
 * Why: an inbox is kept for years, and no operation may become slower with it. Prints the median milliseconds of every operation on an inbox
 * with 1,000, 100,000 and 1,000,000 conversions and a full quarantine, and the query plans of operations that become slower.
 * With fewer conversions: `npm run bench:growth -- --rows 1000,10000`.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { startPostgres } from '../scripts/postgres.mjs'
import { asJson, measure, mustMeet, rowCounts, tell } from './support/report.mjs'

/** The highest ratio of a time with the most conversions to the time with the fewest. */
const goals = { accept: 1.3, claim: 1.3, 'newest page': 2 }
const flat = 2

/** Each database is measured with one file or one server for each number of conversions. */
const databases = {
  async SQLite() {
    const folder = mkdtempSync(join(tmpdir(), 'conversion-webhook-growth-'))
    try {
      return await measure('growth-once.mjs', argsOf(rowCounts.map((count) => join(folder, `${count}.db`))))
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  },
  async PostgreSQL() {
    const servers = []
    try {
      for (let count = 0; count < rowCounts.length; count++) servers.push(await startPostgres())
      return await measure('growth-once.mjs', argsOf(servers.map(({ url }) => url)))
    } finally {
      for (const server of servers) await server.stop()
    }
  },
}

const argsOf = (places) => places.flatMap((where, index) => [where, String(rowCounts[index])])

const machine = { node: process.version, platform: `${process.platform} ${process.arch}`, cores: cpus().length }
const found = []
for (const [database, run] of Object.entries(databases)) {
  const results = await run()
  tell(database)
  const rows = Object.keys(results.medians[0]).map((what) => {
    const medians = results.medians.map((all) => all[what])
    const ratio = medians.at(-1) / medians[0]
    const goal = goals[what]
    return { what, medians, ratio, ...(goal && { goal, met: ratio <= goal }) }
  })
  const steep = rows.filter(({ what, ratio }) => ratio > flat && results.plans[what] !== undefined)
  found.push({ database, rows, plans: Object.fromEntries(steep.map(({ what }) => [what, results.plans[what]])) })
}

if (asJson) console.log(JSON.stringify({ machine, conversions: rowCounts, found }, undefined, 2))
else for (const each of found) print(each)
if (mustMeet && found.some(({ rows }) => rows.some(({ met }) => met === false))) process.exitCode = 1

function print({ database, rows, plans }) {
  const head = ['', ...rowCounts.map((count) => count.toLocaleString('en')), 'ratio', 'goal', '']
  const cells = rows.map(({ what, medians, ratio, goal, met }) => [
    what,
    ...medians.map((ms) => `${ms.toFixed(2)} ms`),
    ratio.toFixed(2),
    goal === undefined ? '' : `<= ${goal}`,
    met === undefined ? '' : met ? 'met' : 'missed',
  ])
  const table = [head, ...cells]
  const widths = head.map((_, column) => Math.max(...table.map((row) => row[column].length)))
  console.log(`\n${database}: medians by conversions\n${machine.node}, ${machine.platform}, ${machine.cores} cores\n`)
  for (const row of table) {
    const padded = row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column])))
    console.log(padded.join('   ').trimEnd())
  }
  for (const [what, steps] of Object.entries(plans))
    console.log(`\n${what}:\n${steps.map((step) => `  ${step}`).join('\n')}`)
}
