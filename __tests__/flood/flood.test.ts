import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { hasSqlite } from '../support/sqlite.js'

/* The flood in short; `npm run test:flood` sends 10,000 callbacks of each kind. */

const run = promisify(execFile)

describe('true callbacks are answered in the middle of a flood, and the process lives, with the inbox of', () => {
  test.each(hasSqlite ? ['memory', 'sqlite'] : ['memory'])(
    '%s',
    async (inbox) => {
      const options = ['--inbox', inbox, '--each', '60', '--json']
      const { stdout } = await run(process.execPath, [join(__dirname, 'run.mjs'), ...options])
      const { problems, rows, trueCallbacks } = JSON.parse(stdout) as Record<'problems' | 'rows', unknown[]> & {
        trueCallbacks: number
      }
      expect(problems).toEqual([])
      expect(trueCallbacks).toBe(rows.length * 6)
    },
    120_000,
  )
})
