import { build } from 'esbuild'
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { dirname } from 'node:path'
import { query } from '../support/callbacks.js'
import { answersAround } from '../support/keep-alive.js'
import { hasSqlite, temporaryFolder } from '../support/sqlite.js'
import { readDocument, root, snippets } from './markdown.js'

/* The code that starts and stops an app, as it is printed: it ends also where clients keep their connections and ask again and again. */

const folder = temporaryFolder()
const children: { kill(signal: 'SIGKILL'): unknown }[] = []
afterAll(() => {
  for (const child of children) child.kill('SIGKILL')
  folder.remove()
})

/** A free port, which the app tells. */
const prelude = `
import { Server } from 'node:net'
process.env.CONVERSION_WEBHOOK_SECRET = 'a-secret-of-the-tests'
const { listen } = Server.prototype
Server.prototype.listen = function () {
  return listen.call(this, 0, '127.0.0.1', () => process.send?.(this.address()))
}
`

async function start(code: string): Promise<{ child: ChildProcess; url: string }> {
  const outfile = folder.file('app.cjs')
  await build({
    stdin: { contents: prelude + code, resolveDir: root, loader: 'ts' },
    outfile,
    bundle: true,
    platform: 'node',
    logLevel: 'warning',
  })
  const child = fork(outfile, { cwd: dirname(outfile), execArgv: [], silent: true })
  children.push(child)
  const [{ port }] = (await once(child, 'message')) as [{ port: number }]
  return { child, url: `http://127.0.0.1:${String(port)}/webhook/a-secret-of-the-tests${query()}` }
}

const describeApps = hasSqlite ? describe : describe.skip
const printed = snippets(readDocument('docs/operations.md')).filter(({ code }) => code.includes('server.close('))

test('one snippet of the operations guide shows it', () => {
  expect(printed).toHaveLength(1)
})

describeApps('the app of the operations guide', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)('ends on %s though clients ask again and again', async (signal) => {
    const { child, url } = await start(printed[0]?.code ?? '')
    const { before, after } = await answersAround(url, async () => {
      child.kill(signal)
      await once(child, 'exit')
    })
    expect({ code: child.exitCode, signal: child.signalCode }).toEqual({ code: 0, signal: null })
    expect(after).toBeLessThan(before)
  })
})
