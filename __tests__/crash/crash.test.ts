import { execFile, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { hasSqlite } from '../support/sqlite.js'

/* A few rounds of the crash runs, one after another, since each loads the whole machine. `npm run test:crash` makes many more. */

const run = promisify(execFile)
/** Longer than a run takes on a busy machine. A run that makes no progress for a minute ends by itself. */
const timeout = 400_000
const testCrashes = hasSqlite ? test : test.skip

describe('nothing is lost, nothing is paid twice, and no two claims of one order are paid', () => {
  testCrashes.each([
    ['SQLite, where confirm says yes to all', ['--inbox', 'sqlite', '--shop', 'naive', '--kills', '6']],
    ['PostgreSQL, where confirm knows the buyer', ['--inbox', 'postgres', '--shop', 'bound', '--kills', '4']],
    [
      'PostgreSQL through Drizzle, where confirm says yes to all',
      ['--inbox', 'postgres', '--shop', 'naive', '--library', 'drizzle', '--kills', '4'],
    ],
    ['PostgreSQL, killed, crashed and stopped under load', ['--inbox', 'postgres', '--kills', '0', '--restarts', '3']],
  ] as const)(
    'two servers on %s',
    async (_name, options) => {
      const { stdout } = await run(process.execPath, [join(__dirname, 'run.mjs'), ...options, '--json'])
      const summary = JSON.parse(stdout) as Record<'answered200' | 'paid' | 'owed', number>
      expect(summary).toMatchObject({ problems: [], lost: 0, doubled: 0, ordersWithTwoPaidClaims: 0 })
      expect(summary.answered200).toBeGreaterThan(100)
      expect(summary.paid).toBeGreaterThanOrEqual(summary.owed)
    },
    timeout,
  )
})

describe('after kills during prune and erase, nothing erased is left, and no conversion is lost', () => {
  testCrashes.each(['sqlite', 'postgres'])(
    'two servers and an operator on %s',
    async (inbox) => {
      const options = ['--inbox', inbox, '--shop', 'bound', '--kills', '6', '--operators', '--json']
      const { stdout } = await run(process.execPath, [join(__dirname, 'run.mjs'), ...options])
      const { operators, ...summary } = JSON.parse(stdout) as {
        readonly operators: Record<'pruned' | 'erased' | 'diedInPrune' | 'diedInErase' | 'foundWaiting', number>
      }
      expect(summary).toMatchObject({ problems: [], lost: 0, doubled: 0, robbed: 0 })
      const { pruned, erased, diedInPrune, diedInErase, foundWaiting } = operators
      for (const count of [pruned, erased, diedInPrune, diedInErase, foundWaiting]) expect(count).toBeGreaterThan(0)
    },
    timeout,
  )
})

testCrashes.each(['sqlite', 'postgres'])(
  'the run finds a counter that differs from the rows: %s',
  (inbox) => {
    const argv = [join(__dirname, 'run.mjs'), '--inbox', inbox, '--kills', '0', '--miscount', '--json']
    const { status, stdout } = spawnSync(process.execPath, argv, { encoding: 'utf8' })
    const { problems } = JSON.parse(stdout) as { readonly problems: readonly string[] }
    expect(status).toBe(1)
    expect(problems).toEqual([expect.stringMatching(/^deliveries are .*, and counted as /)])
  },
  timeout,
)
