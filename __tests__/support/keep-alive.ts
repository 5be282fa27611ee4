import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'

/**
 * Calls `end` to end a server while clients send request after request on keep-alive connections. Resolves with the number of answers in the
 * second before, and in the time after: a server that waits for its clients to disconnect keeps answering.
 */
export async function answersAround(url: string, end: () => unknown): Promise<{ before: number; after: number }> {
  const child = fork(join(__dirname, 'keep-alive-clients.cjs'), [url], { execArgv: [] })
  try {
    await once(child, 'message')
    const answers = async (): Promise<number> => {
      child.send('answers')
      const [count] = (await once(child, 'message')) as [number]
      return count
    }
    const first = await answers()
    await wait(1_000)
    const last = await answers()
    await end()
    return { before: last - first, after: (await answers()) - last }
  } finally {
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
}
