/*
 * Why: a process that is stopped, or whose handler blocks the event loop, must be taken for gone by others, but must take nobody for gone
 * itself when it goes on. `node __tests__/crash/pauses.mjs [--ms 60000] [--kinds stop,block]`: three servers on one SQLite file, each in
 * the middle of deliveries; one of them pauses, by SIGSTOP, then once more by a blocked event loop. Prints what was run by whom.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { setTimeout as wait } from 'node:timers/promises'
import { parseArgs } from 'node:util'

const server = fileURLToPath(new URL('pausing.mjs', import.meta.url))
const each = 3

/** One pause of a process that others run beside; `kind` is `stop` or `block`. */
async function pause(kind, pauseMs) {
  const folder = mkdtempSync(join(tmpdir(), 'conversion-webhook-pauses-'))
  const file = join(folder, 'inbox.db')
  const log = join(folder, 'log')
  writeFileSync(log, '')
  const db = new DatabaseSync(file)
  db.exec('PRAGMA busy_timeout = 5000; CREATE TABLE effects (key TEXT)')
  const children = []
  // Handlers run until well after the pause: what was taken over meanwhile runs as long.
  const ms = pauseMs + 5_000
  const begin = async (name) => {
    const child = spawn(process.execPath, [server, JSON.stringify({ file, ms, log })], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    children.push(child)
    await once(child, 'message')
    await wait(500) // it has looked around once
    for (let order = 0; order < each; order++) {
      child.send({ report: `${name} ${order}` })
      await once(child, 'message')
    }
    return child
  }
  try {
    const paused = await begin('paused')
    const living = [await begin('first'), await begin('second')]
    await wait(1_000)
    const pausedAt = Date.now()
    if (kind === 'stop') {
      paused.kill('SIGSTOP')
      await wait(pauseMs)
      paused.kill('SIGCONT')
    } else {
      paused.send({ blockMs: pauseMs })
    }
    const orders = ['paused', 'first', 'second'].flatMap((name) => [0, 1, 2].map((order) => `${name} ${order}`))
    const done = () =>
      db
        .prepare('SELECT key FROM effects')
        .all()
        .map(({ key }) => key)
    for (const until = Date.now() + 3 * ms; Date.now() < until && new Set(done()).size < orders.length;) await wait(200)
    await wait(1_000)
    const lines = readFileSync(log, 'utf8')
      .trim()
      .split('\n')
      .map((line) => /^(\d+) (\d+) (\S+) (.*)$/.exec(line).slice(1))
      .map(([at, pid, what, order]) => ({ at: Number(at), pid: Number(pid), what, order }))
    const owners = new Map(['paused', 'first', 'second'].map((name, index) => [name, [paused, ...living][index].pid]))
    const starts = lines.filter(({ what }) => what === 'starts')
    const isOfOwner = ({ order, pid }) => owners.get(order.split(' ')[0]) === pid
    const lapsed = lines.filter(({ what }) => what === 'ERR_CONVERSION_ATTEMPT_LAPSED')
    const takenOver = starts.filter((start) => !isOfOwner(start))
    const ofOthers = takenOver.filter(({ order }) => !order.startsWith('paused'))
    return {
      takenOver: takenOver.length,
      afterSeconds: takenOver.map(({ at }) => Math.round((at - pausedAt) / 1_000)),
      // What a living process ran and another one took: its own, or what it had taken over itself.
      robbed: ofOthers.length + starts.length - orders.length - each,
      // Attempts that lost their delivery, of the process that paused and of others.
      refused: lapsed.filter(({ pid }) => pid === paused.pid).length,
      othersRefused: lapsed.filter(({ pid }) => pid !== paused.pid).length,
      lost: orders.filter((order) => !done().includes(order)).length,
      doubled: done().length - new Set(done()).size,
    }
  } finally {
    for (const child of children) {
      child.kill('SIGKILL')
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    }
    db.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

const { values } = parseArgs({
  options: { ms: { type: 'string', default: '60000' }, kinds: { type: 'string', default: 'stop,block' } },
})
for (const kind of values.kinds.split(',')) {
  const result = await pause(kind, Number(values.ms))
  const { robbed, othersRefused, lost, doubled, takenOver } = result
  console.log(JSON.stringify({ kind, ...result }))
  if (robbed + othersRefused + lost + doubled > 0 || takenOver !== each) process.exitCode = 1
}
