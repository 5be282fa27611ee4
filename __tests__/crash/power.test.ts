import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { hasSqlite } from '../support/sqlite.js'

/* A few rounds of power losses; `npm run test:power` makes many more. Skipped without a C compiler, and on other systems than Linux. */

const hasCompiler = process.platform === 'linux' && spawnSync('cc', ['--version']).status === 0
const testPower = hasSqlite && hasCompiler ? test : test.skip

function losePower(...options: readonly string[]) {
  const argv = [join(__dirname, 'power.mjs'), '--rounds', '4', '--json', ...options]
  const { status, stdout, stderr } = spawnSync(process.execPath, argv, { encoding: 'utf8' })
  if (stdout === '') throw new Error(stderr)
  return {
    status,
    ...(JSON.parse(stdout) as { answered200: number; lost: number; doubled: number; problems: string[] }),
  }
}

testPower(
  'a callback that was answered with 200 survives a power loss and is paid once',
  () => {
    const { answered200, ...found } = losePower()
    expect(found).toMatchObject({ status: 0, lost: 0, doubled: 0, problems: [] })
    expect(answered200).toBeGreaterThan(100)
  },
  240_000,
)

testPower(
  'with synchronous = NORMAL a power loss loses callbacks, and this test finds that',
  () => {
    const { status, lost } = losePower('--weak')
    expect(status).toBe(1)
    expect(lost).toBeGreaterThan(0)
  },
  240_000,
)
