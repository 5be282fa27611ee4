/*
 * Why: other processes must take over the deliveries of a process that is stopped or blocked. When that process goes on, it must not take
 * over the deliveries of living processes. Three servers share an inbox, each in the middle of deliveries; one of them pauses, by SIGSTOP or
 * by a blocked event loop. Prints which process ran how many deliveries, a line for each inbox and kind of pause.
 *
 * `node __tests__/crash/pauses.mjs [--inboxes sqlite,postgres] [--kinds stop,block] [--ms 60000] [--times 1]` makes `--times` pauses of each
 * kind in parallel, each with an inbox and servers of its own. Exits with 1 if a promise was broken.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { setTimeout as wait } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { startPostgres } from '../../scripts/postgres.mjs'
import { openStorage } from './storage.mjs'

const server = fileURLToPath(new URL('pausing.mjs', import.meta.url))
const names = ['paused', 'first', 'second']
const each = 3
const orders = names.flatMap((name) => Array.from({ length: each }, (_order, index) => `${name} ${index}`))

/** Pauses one of three servers; `kind` is `stop` or `block`. */
async function pause(kind, pauseMs, open) {
  const folder = mkdtempSync(join(tmpdir(), 'conversion-webhook-pauses-'))
  const log = join(folder, 'log')
  writeFileSync(log, '')
  const storage = await open(join(folder, 'inbox.db'))
  const children = []
  // Handlers run for longer than the pause, so that the paused server still runs its deliveries when it goes on.
  const ms = pauseMs + 5_000
  const begin = async () => {
    const child = spawn(process.execPath, [server, JSON.stringify({ ...storage.options, ms, log })], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    children.push(child)
    await once(child, 'message')
    return child
  }
  const report = async (child, name) => {
    for (let order = 0; order < each; order++) {
      child.send({ report: `${name} ${order}` })
      await once(child, 'message')
    }
  }
  try {
    const [paused, ...living] = await Promise.all(names.map(begin))
    await wait(500) // until each server has looked for deliveries once
    // One after another, so that each server delivers the callbacks that it receives, before another one polls.
    for (const [index, child] of [paused, ...living].entries()) await report(child, names[index])
    let startsBefore = []
    for (
      const until = Date.now() + 30_000;
      startsBefore.length < orders.length && Date.now() < until;
      await wait(100)
    ) {
      startsBefore = startsIn(log)
    }
    if (startsBefore.length !== orders.length) throw new Error(`${startsBefore.length} handlers started`)
    const pausedAt = Date.now()
    if (kind === 'stop') {
      paused.kill('SIGSTOP')
      await wait(pauseMs)
      paused.kill('SIGCONT')
    } else {
      paused.send({ blockMs: pauseMs })
    }
    let done = []
    for (const until = Date.now() + 3 * ms; Date.now() < until && new Set(done).size < orders.length; await wait(200)) {
      done = await storage.effects()
    }
    const isIdle = await storage.idle(60_000)
    done = await storage.effects()
    const lines = linesOf(log)
    const starts = startsIn(log)
    const owners = new Map(startsBefore.map(({ order, pid }) => [order, pid]))
    const takenOver = starts.filter(({ order, pid }) => owners.get(order) !== pid)
    const ofPaused = [...owners.values()].filter((pid) => pid === paused.pid).length
    const lapsed = lines.filter(({ what }) => what === 'ERR_CONVERSION_ATTEMPT_LAPSED')
    return {
      answered: orders.length,
      wasRunning: ofPaused,
      takenOver: takenOver.length,
      afterSeconds: takenOver.map(({ at }) => Math.round((at - pausedAt) / 1_000)),
      // Deliveries that were taken over from a living process: its own, or those that it had taken over.
      robbed:
        takenOver.filter(({ order }) => owners.get(order) !== paused.pid).length +
        starts.length -
        orders.length -
        ofPaused,
      // Attempts that were refused as lapsed, of the paused server and of the others.
      refused: lapsed.filter(({ pid }) => pid === paused.pid).length,
      othersRefused: lapsed.filter(({ pid }) => pid !== paused.pid).length,
      lost: orders.filter((order) => !done.includes(order)).length,
      doubled: done.length - new Set(done).size,
      damage: [await storage.damage()].filter((what) => what !== undefined),
      miscounts: isIdle ? await storage.miscounts() : ['deliveries wait or run'],
    }
  } finally {
    for (const child of children) {
      child.kill('SIGKILL')
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    }
    await storage.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

function linesOf(log) {
  const lines = readFileSync(log, 'utf8').trim().split('\n')
  return lines
    .map((line) => /^(\d+) (\d+) (\S+) (.*)$/.exec(line))
    .filter((found) => found !== null)
    .map(([, at, pid, what, order]) => ({ at: Number(at), pid: Number(pid), what, order }))
}

function startsIn(log) {
  return linesOf(log).filter(({ what }) => what === 'starts')
}

/** Merges the results of several pauses: adds numbers and concatenates arrays. */
function sum(results) {
  const [first, ...others] = results
  const add = (a, b) => (Array.isArray(a) ? [...a, ...b] : a + b)
  return others.reduce(
    (all, one) => Object.fromEntries(Object.keys(all).map((what) => [what, add(all[what], one[what])])),
    first,
  )
}

const { values } = parseArgs({
  options: {
    inboxes: { type: 'string', default: 'sqlite,postgres' },
    kinds: { type: 'string', default: 'stop,block' },
    ms: { type: 'string', default: '60000' },
    times: { type: 'string', default: '1' },
  },
})
const times = Number(values.times)
for (const inbox of values.inboxes.split(',')) {
  const postgres = inbox === 'postgres' ? await startPostgres({ settings: ['max_connections=1000'] }) : undefined
  try {
    await Promise.all(
      values.kinds.split(',').map(async (kind) => {
        const open = (file) => openStorage(inbox, file, postgres)
        const pauses = await Promise.all(Array.from({ length: times }, () => pause(kind, Number(values.ms), open)))
        const result = sum(pauses)
        const { robbed, othersRefused, lost, doubled, damage, miscounts, takenOver, wasRunning } = result
        console.log(JSON.stringify({ inbox, kind, pauses: times, ...result }))
        const isWrong = robbed + othersRefused + lost + doubled + miscounts.length + damage.length > 0
        if (isWrong || takenOver !== wasRunning || wasRunning === 0) process.exitCode = 1
      }),
    )
  } finally {
    await postgres?.stop()
  }
}
