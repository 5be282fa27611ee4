import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'

/**
 * Ends a server, by `end`, while clients ask it again and again on connections that they keep. Resolves with how many answers they got in
 * the second before, and how many afterwards: a server that waits for them to go away goes on answering for two.
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
