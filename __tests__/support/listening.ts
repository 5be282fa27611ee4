import { cli, type Setting } from './cli.js'
import { deferred } from './recorder.js'

export interface Listening {
  readonly callbacks: string
  readonly inspector?: string
}

/** Runs `listen --json` in this process, on a free port, until `end`. Rejects with the error output if the command does not start. */
export async function startListening(argv: readonly string[], setting: Setting = {}) {
  const interruption = new AbortController()
  const started = deferred<Listening>()
  const seen = { out: '' }
  const ended = cli(['listen', '--port', '0', '--json', ...argv], {
    ...setting,
    interrupted: interruption.signal,
    watch(out) {
      seen.out = out
      const [first = '', ...rest] = out.split('\n')
      if (rest.length > 0) started.resolve((JSON.parse(first) as { listening: Listening }).listening)
    },
  })
  const { callbacks, inspector } = await Promise.race([
    started.promise,
    ended.then(({ err }) => Promise.reject(new Error(err))),
  ])
  return {
    callbacks,
    inspector,
    port: Number(new URL(callbacks).port),
    log: () =>
      seen.out
        .trim()
        .split('\n')
        .slice(1)
        .map((line) => JSON.parse(line) as Record<string, unknown>),
    end: () => {
      interruption.abort()
      return ended
    },
  }
}
