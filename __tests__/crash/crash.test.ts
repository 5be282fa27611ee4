import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { hasSqlite } from '../support/sqlite.js'

/* The crash tests with a few rounds; `npm run test:crash` makes 100 and 50 kills. */

const run = promisify(execFile)
const testCrashes = hasSqlite ? test.concurrent : test.skip

describe('nothing is lost and nothing is paid twice', () => {
  testCrashes.each([
    ['SQLite', ['--inbox', 'sqlite', '--kills', '6']],
    ['PostgreSQL with two servers, killed', ['--inbox', 'postgres', '--kills', '4']],
    ['PostgreSQL through Drizzle, killed', ['--inbox', 'postgres', '--library', 'drizzle', '--kills', '4']],
    ['PostgreSQL, stopped and started under load', ['--inbox', 'postgres', '--kills', '0', '--restarts', '2']],
  ] as const)(
    '%s',
    async (_name, options) => {
      const { stdout } = await run(process.execPath, [join(__dirname, 'run.mjs'), ...options, '--json'])
      const summary = JSON.parse(stdout) as Record<'problems' | 'answered200' | 'effectsThroughCommit', unknown>
      expect(summary).toMatchObject({ problems: [] })
      expect(summary.answered200).toBeGreaterThan(30) // as many as a busy machine answers between kills
      expect(summary.effectsThroughCommit).toBeGreaterThanOrEqual(summary.answered200 as number)
    },
    180_000,
  )
})
