import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'

const root = join(__dirname, '../..')
const running = new Set<ChildProcess>()

/** Ends the processes that a test started. */
export async function endExamples(): Promise<void> {
  for (const child of running) {
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  }
  running.clear()
}

/** Starts an example as its reader does, but on a free port and without a secret in the environment. Waits for the line with its URL. */
export async function startExample(file: string, environment: Readonly<Record<string, string>> = {}) {
  if (!existsSync(join(root, 'dist/esm/index.js'))) throw new Error('dist is missing: run `npm run build` first.')
  const child = spawn(process.execPath, [join(root, 'examples', file)], {
    cwd: root,
    env: {
      ...process.env,
      NODE_ENV: 'development',
      PORT: '0',
      DATABASE_URL: undefined,
      CONVERSION_WEBHOOK_SECRET: undefined,
      ...environment,
    },
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  running.add(child)
  let output = ''
  const seen = async (text: RegExp): Promise<RegExpExecArray> => {
    for (;;) {
      const found = text.exec(output)
      if (found) return found
      if (child.exitCode !== null) throw new Error(`${file} ended before it printed ${String(text)}: ${output}`)
      await Promise.race([once(child.stdout, 'data'), once(child, 'exit')])
    }
  }
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (output += chunk))
  const [url] = await seen(/http:\/\/localhost:\d+\/\S+/)
  return { child, url, seen, output: () => output }
}
