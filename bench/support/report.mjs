/*
 * Shared code of the benchmarks: medians, fresh processes and printing. A goal is a ratio or a difference of values that were measured in
 * pairs within one run, never an absolute time of this machine.
 */
import { spawn, spawnSync } from 'node:child_process'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const flags = parseArgs({
  options: {
    assert: { type: 'boolean', default: false }, // exit with 1 when a goal is missed
    json: { type: 'boolean', default: false },
    rows: { type: 'string', default: '1000,100000,1000000' }, // of bench/growth.mjs
  },
  allowPositionals: true,
}).values
export const { assert: mustMeet, json: asJson } = flags
export const rowCounts = flags.rows.split(',').map(Number)

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/** The median, the least and the most of values that were measured in separate processes. */
export function spread(values) {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) }
}

/** Starts a script of bench/support in a fresh process of this very Node. */
export function start(script, args = [], { nodeArgs = [], stdio = ['ignore', 'pipe', 'inherit'], env = {} } = {}) {
  const file = fileURLToPath(new URL(script, import.meta.url))
  return spawn(process.execPath, [...nodeArgs, file, ...args], { stdio, env: { ...process.env, ...env } })
}

/** Gives a process a core of its own, where the machine has two and the command `taskset`. */
export function pin(pid, core) {
  if (cpus().length > 1) spawnSync('taskset', ['-a', '-c', '-p', String(core), String(pid)], { stdio: 'ignore' })
}

/** The JSON that a script of bench/support prints, run in a fresh process to its end. */
export async function measure(script, args, options) {
  const child = start(script, args, options)
  const chunks = []
  child.stdout.on('data', (chunk) => chunks.push(chunk))
  const code = await new Promise((resolve, reject) => child.on('error', reject).on('close', resolve))
  if (code !== 0) throw new Error(`${script} ended with ${code}; is the package built (npm run build)?`)
  return JSON.parse(Buffer.concat(chunks).toString('utf8'))
}

/** Prints progress to standard error, so that `--json` stays valid. */
export function tell(line) {
  if (process.stderr.isTTY) process.stderr.write(`${line}\n`)
}

function isMet({ median, atMost = Infinity, atLeast = -Infinity }) {
  return median <= atMost && median >= atLeast
}

/**
 * Prints rows of `{ what, median, min, max, unit?, digits?, atMost?, atLeast? }` as a table or as JSON. With `--assert` sets the exit code
 * to 1 if a goal is missed.
 */
export function report(title, rows, notes = []) {
  const judged = rows.map((row) => ({ ...row, ...(hasGoal(row) && { met: isMet(row) }) }))
  const machine = { node: process.version, platform: `${process.platform} ${process.arch}`, cores: cpus().length }
  if (asJson) console.log(JSON.stringify({ title, machine, rows: judged, notes }, undefined, 2))
  else print(title, machine, judged, notes)
  if (mustMeet && judged.some(({ met }) => met === false)) process.exitCode = 1
}

function hasGoal({ atMost, atLeast }) {
  return atMost !== undefined || atLeast !== undefined
}

function print(title, { node, platform, cores }, rows, notes) {
  const cells = rows.map(({ what, median, min, max, unit = '', digits = 2, atMost, atLeast, met }) => {
    const text = (value) => value.toFixed(digits)
    const bound = atMost === undefined ? atLeast : atMost
    const goal = bound === undefined ? '' : `${atMost === undefined ? '>=' : '<='} ${bound} ${unit}`
    const verdict = met === undefined ? '' : met ? 'met' : 'missed'
    return [what, `${text(median)} ${unit}`, min === max ? '' : `${text(min)} .. ${text(max)}`, goal, verdict]
  })
  const table = [['', 'median', 'min .. max', 'goal', ''], ...cells].map((row) => row.map((cell) => cell.trim()))
  const widths = table[0].map((_, column) => Math.max(...table.map((row) => row[column].length)))
  console.log(`\n${title}\n${node}, ${platform}, ${cores} cores\n`)
  for (const row of table) {
    const [what, ...rest] = row.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column]),
    )
    console.log([what, ...rest].join('   ').trimEnd())
  }
  for (const note of notes) console.log(`\n${note}`)
}
