import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { hasSqlite } from '../support/sqlite.js'

/* The power losses with a few rounds; `npm run test:power` makes many more. Skipped where there is no C compiler, as on other systems than Linux. */

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
  'what was answered 200 outlives the power, and is paid once',
  () => {
    const { answered200, ...found } = losePower()
    expect(found).toMatchObject({ status: 0, lost: 0, doubled: 0, problems: [] })
    expect(answered200).toBeGreaterThan(100)
  },
  240_000,
)

testPower(
  'with less durability than the inbox has, it is lost, and this test finds it',
  () => {
    const { status, lost } = losePower('--weak')
    expect(status).toBe(1)
    expect(lost).toBeGreaterThan(0)
  },
  240_000,
)
