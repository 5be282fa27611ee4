import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { hasSqlite } from '../support/sqlite.js'

/* A kill at each step from recording to mark, and two from outside. `npm run test:crash` makes ten rounds, with both shops on both inboxes. Most of the time passes until the attempts of killed servers lapse. */

const run = promisify(execFile)
/** Longer than a run takes on a busy machine. A run that makes no progress for a minute ends by itself. */
const timeout = 400_000
const testRaces = hasSqlite ? test.concurrent : test.skip

describe('two servers deliver the rivals of one order, and one is killed between confirm, reservation, handler and mark', () => {
  testRaces.each([
    ['sqlite', 'naive'],
    ['postgres', 'naive'],
    ['postgres', 'bound'],
  ] as const)(
    '%s, %s confirm: one claim of each order is paid, once, and none is lost',
    async (inbox, shop) => {
      const options = ['--inbox', inbox, '--shop', shop, '--json']
      const { stdout } = await run(process.execPath, [join(__dirname, 'rivals.mjs'), ...options])
      const summary = JSON.parse(stdout) as Record<'orders' | 'paid' | 'owed', number>
      expect(summary).toMatchObject({ problems: [], kills: 14, lost: 0, doubled: 0, ordersWithTwoPaidClaims: 0 })
      expect(summary.orders).toBeGreaterThan(14)
      expect([summary.owed, summary.paid]).toEqual([summary.orders, summary.orders])
    },
    timeout,
  )
})
