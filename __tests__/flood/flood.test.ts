import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { hasSqlite } from '../support/sqlite.js'

/* A short flood; `npm run test:flood` sends 10,000 callbacks of each kind. */

const run = promisify(execFile)

describe('during a flood of hostile callbacks valid ones are accepted, and the process stays alive, with the inbox', () => {
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
