import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const file = fileURLToPath(new URL('server.mjs', import.meta.url))

/** The servers of a run, and what became of them. */
export class Servers {
  running = []
  /** The process ids of those that were killed. */
  killed = new Set()
  /** What their webhooks told of errors, and how often. */
  errors = new Map()
  #options
  #how

  /** `env` and `execArgv` of their processes, where they are others than this one's. */
  constructor(options, how = {}) {
    this.#options = options
    this.#how = how
  }

  get ports() {
    return this.running.map(({ port }) => port)
  }

  async start(options) {
    const { execArgv = [], env } = this.#how
    const child = spawn(process.execPath, [...execArgv, file, JSON.stringify({ ...this.#options, ...options })], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      env,
    })
    const server = { child, port: undefined, gone: once(child, 'exit') }
    this.running.push(server)
    child.once('exit', (_code, signal) => {
      this.running = this.running.filter((other) => other !== server)
      if (signal === 'SIGKILL') this.killed.add(child.pid)
    })
    server.port = await new Promise((resolve, reject) => {
      child.on('message', ({ port, error }) => {
        if (error) this.errors.set(error, (this.errors.get(error) ?? 0) + 1)
        else resolve(port)
      })
      child.once('exit', () => reject(new Error('a server ended before it listened')))
    })
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
