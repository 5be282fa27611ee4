import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { hasSqlite } from '../support/sqlite.js'

/* Three servers share an inbox, and one of them pauses for 45 seconds. `npm run test:crash` makes 60 pauses of a minute. */

const run = promisify(execFile)
const testPauses = hasSqlite && process.platform !== 'win32' ? test : test.skip

testPauses.concurrent.each([
  ['sqlite', 'stop'],
  ['sqlite', 'block'],
  ['postgres', 'stop'],
] as const)(
  'others take over the deliveries of a paused process, which takes none of theirs when it goes on: %s, %s',
  async (inbox, kind) => {
    const options = ['--inboxes', inbox, '--kinds', kind, '--ms', '45000'] // others take over after 40 s at the latest
    const { stdout } = await run(process.execPath, [join(__dirname, 'pauses.mjs'), ...options])
    const summary = JSON.parse(stdout) as { readonly wasRunning: number }
    const { wasRunning } = summary
    expect(wasRunning).toBeGreaterThan(0)
    expect(summary).toMatchObject({
      takenOver: wasRunning,
      robbed: 0,
      refused: wasRunning,
      othersRefused: 0,
      lost: 0,
      doubled: 0,
      damage: [],
      miscounts: [],
    })
  },
  300_000,
)
