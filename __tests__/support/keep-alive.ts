import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

/** Clients that ask again and again on connections that they keep; `end` gives how many answers ended theirs. */
export async function startClients(url: string) {
  const child = fork(join(__dirname, 'keep-alive-clients.cjs'), [url], { execArgv: [] })
  await once(child, 'message')
  return {
    kill: () => child.kill('SIGKILL'),
    end: async (): Promise<number> => {
      child.send('end')
      const [said] = (await once(child, 'message')) as [{ closing: number }]
      return said.closing
    },
  }
}
