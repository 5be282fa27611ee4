import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

/** Returns a function that makes a process run an operation. It resolves with the result, or with undefined if the process was killed meanwhile. */
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
      child.send(work, () => undefined) // sending fails if the process was killed just now
    })
}

/** Starts and kills the processes of a run. */
export class Servers {
  running = []
  /** The ids of the killed processes. */
  killed = new Set()
  /** The number of errors that `onError` reported, by error. */
  errors = new Map()
  #options
  #how

  /** `how` may set `script`, `env` and `execArgv` of the processes. */
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
