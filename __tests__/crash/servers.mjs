import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

/** What has a process do an operator's work; resolves with what came of it, or with nothing where the process was killed meanwhile. */
function operating(child) {
  const isGone = () => child.exitCode !== null || child.signalCode !== null
  return (work) =>
    new Promise((resolve) => {
      if (isGone()) resolve(undefined)
      const onMessage = ({ operated }) => operated && end(operated)
      const onExit = () => end(undefined)
      const end = (done) => {
        child.off('message', onMessage).off('exit', onExit)
        resolve(done)
      }
      child.on('message', onMessage).once('exit', onExit)
      child.send(work, () => undefined) // it may have been killed just now
    })
}

/** The servers of a run, and what became of them. */
export class Servers {
  running = []
  /** The process ids of those that were killed. */
  killed = new Set()
  /** What their webhooks told of errors, and how often. */
  errors = new Map()
  #options
  #how

  /** `env` and `execArgv` of their processes, where they are others than this one's, and their `script`. */
  constructor(options, how = {}) {
    this.#options = options
    this.#how = how
  }

  get ports() {
    return this.running.map(({ port }) => port)
  }

  async start(options) {
    const { execArgv = [], env, script = 'server.mjs' } = this.#how
    const file = fileURLToPath(new URL(script, import.meta.url))
    const child = spawn(process.execPath, [...execArgv, file, JSON.stringify({ ...this.#options, ...options })], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      env,
    })
    const server = { child, port: undefined, isReady: false, gone: once(child, 'exit'), operate: operating(child) }
    this.running.push(server)
    child.once('exit', (_code, signal) => {
      this.running = this.running.filter((other) => other !== server)
      if (signal === 'SIGKILL') this.killed.add(child.pid)
    })
    server.port = await new Promise((resolve, reject) => {
      child.on('message', ({ port, isReady, error }) => {
        if (error) this.errors.set(error, (this.errors.get(error) ?? 0) + 1)
        else if (port || isReady) resolve(port)
      })
      child.once('exit', () => reject(new Error('a server ended before it listened')))
    })
    server.isReady = true
    return server
  }

  async kill(server) {
    server.child.kill('SIGKILL')
    await server.gone
  }

  async close() {
    for (const server of this.running) await this.kill(server)
  }
}
