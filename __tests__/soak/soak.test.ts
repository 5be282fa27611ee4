import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { hasSqlite } from '../support/sqlite.js'

/* A soak of a few seconds on SQLite; `npm run test:soak` takes 10 minutes for each inbox. */

const testSoak = hasSqlite && existsSync('/proc/self/fd') ? test : test.skip
const shared = '/dev/shm' // in memory: the speed of the disk does not matter, and the file need not be durable

interface Soaked {
  readonly problems: readonly string[]
  readonly callbacks: number
  readonly rows: readonly { readonly name: string }[]
}

function soak(minutes: string, ...options: readonly string[]): Promise<Soaked> {
  const argv = [join(__dirname, 'run.mjs'), '--inbox', 'sqlite', '--rate', '600', '--json', '--minutes', minutes]
  const env = { ...process.env, ...(existsSync(shared) && { TMPDIR: shared }) }
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [...argv, ...options], { env, maxBuffer: 2 ** 24 }, (error, stdout) => {
      // A leak makes the script exit with 1 and print figures. Without figures the script itself has failed.
      if (stdout === '') reject(error ?? new Error('The soak printed no figures.'))
      else resolve(JSON.parse(stdout) as Soaked)
    })
  })
}

testSoak(
  'under a steady load the resources of a process stay flat, and each conversion is paid once',
  async () => {
    const { problems, callbacks, rows } = await soak('0.2')
    expect(problems).toEqual([])
    expect(callbacks).toBeGreaterThan(3_000)
    expect(rows.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['heap', 'rss', 'descriptors', 'timers', 'Timeout', 'TCPSocketWrap']),
    )
  },
  120_000,
)

testSoak.each([
  ['10,000 bytes', /^heap grew/],
  ['unreferenced timer', /^timers grew/],
])(
  'the soak finds a leak: %s',
  async (leak, problem) => {
    const { problems } = await soak('0.1', '--leak', leak)
    expect(problems).toContainEqual(expect.stringMatching(problem))
  },
  120_000,
)
