import { createInterface } from 'node:readline/promises'
import type { Io } from './cli/io.js'
import { run } from './cli/program.js'

/** Exit code after a second Ctrl-C, which ends the process while the command still runs. */
const endedByInterrupt = 130

const interruption = new AbortController()
function interrupt(): void {
  if (interruption.signal.aborted) process.exit(endedByInterrupt)
  interruption.abort()
}
process.on('SIGINT', interrupt).on('SIGTERM', interrupt)

// When the reader of a pipe is gone, as in `… | head`, the command ends without an error.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') interruption.abort()
    else throw error
  })
}

async function ask(question: string): Promise<string> {
  const asking = createInterface({ input: process.stdin, output: process.stderr })
  try {
    return await asking.question(question, { signal: interruption.signal })
  } finally {
    asking.close()
  }
}

const io: Io = {
  out: process.stdout,
  err: process.stderr,
  env: process.env,
  ask: process.stdin.isTTY ? ask : undefined,
  interrupted: interruption.signal,
}

process.exitCode = await run(process.argv.slice(2), io)
