import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { hasSqlite } from '../support/sqlite.js'

/* Servers on one SQLite file, one of which pauses for long; `npm run test:crash` has it pause for a minute. */

const run = promisify(execFile)
const testPauses = hasSqlite && process.platform !== 'win32' ? test : test.skip

testPauses.concurrent.each(['stop', 'block'])(
  'a process that pauses loses what it runs, and takes nothing from others when it goes on: %s',
  async (kind) => {
    const options = ['--kinds', kind, '--ms', '36000'] // others take over after 30 s at the latest
    const { stdout } = await run(process.execPath, [join(__dirname, 'pauses.mjs'), ...options])
    expect(JSON.parse(stdout)).toMatchObject({
      takenOver: 3,
      robbed: 0,
      refused: 3,
      othersRefused: 0,
      lost: 0,
      doubled: 0,
    })
  },
  300_000,
)
