import { execFile, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { query, type params } from '../support/callbacks.js'
import { answersAround } from '../support/keep-alive.js'
import { endExamples, startExample as start } from '../support/example.js'
import { openFile, temporaryFolder } from '../support/sqlite.js'

/* Each example as its reader starts it: a process of its own on a free port, sent real callbacks, and ended. */

const root = join(__dirname, '../..')
const secret = 'a-secret-of-the-tests'

const temporary = temporaryFolder()

afterAll(() => temporary.remove())

afterEach(endExamples)

async function send(url: string, changes: Parameters<typeof params>[0] = {}): Promise<unknown> {
  const response = await fetch(url + query(changes))
  return response.json()
}

test('express.mjs grants the reward of the documented callback once, sent by curl', async () => {
  const { url, seen, output } = await start('express.mjs')
  const hasCurl = spawnSync('curl', ['--version']).status === 0
  const call = async () =>
    hasCurl ? (await promisify(execFile)('curl', ['-s', url + query()])).stdout : JSON.stringify(await send(url))
  expect(await call()).toBe('{"outcome":"accepted"}')
  await seen(/reward for example@gmail.com\n/)
  expect(await call()).toBe('{"outcome":"duplicate"}')
  expect(output().match(/reward for/g)).toHaveLength(1)
})

test('commonjs.cjs runs the handler of each event', async () => {
  const { url, seen } = await start('commonjs.cjs')
  expect(await send(url, { conversion: 'pending' })).toEqual({ outcome: 'accepted' })
  expect(await send(url)).toEqual({ outcome: 'accepted' })
  expect(await send(url, { conversion: 'fail' })).toEqual({ outcome: 'accepted' })
  await seen(/pending ASDXXXXX\nsuccess ASDXXXXX 1000\ngoal complete for Robert Downy\nfail ASDXXXXX after success\n/)
})

test('connect.mjs takes the secret from the path', async () => {
  const { url, seen } = await start('connect.mjs', { CONVERSION_WEBHOOK_SECRET: secret })
  expect(url).toContain(secret)
  expect(await send(url)).toEqual({ outcome: 'accepted' })
  await seen(/success ASDXXXXX\n/)
  expect((await fetch(url.replace(secret, 'not-the-secret-at-all') + query())).status).toBe(404)
})

test('typescript.ts gives points by campaign and custom value, tells its observers, and closes on SIGTERM', async () => {
  const { child, url: spring, seen } = await start('typescript.ts')
  const order = { orderID: 'A-1', referrer_customValue: 'tier:gold' }
  expect(await send(spring, order)).toEqual({ outcome: 'accepted' })
  await seen(/20 points for A-1 in spring, key [0-9a-f]{40}:success\n/)
  expect(await send(spring.replace('spring', 'autumn'), { ...order, referrer_customValue: 'x' })).toEqual({
    outcome: 'accepted',
  })
  await seen(/10 points for A-1 in autumn/)
  expect(await send(spring, { orderID: 'A-1', purchaseValue: '1' })).toMatchObject({
    code: 'ERR_CONVERSION_CALLBACK_CONFLICT',
  })
  await seen(/conflict about [0-9a-f]{40}:conflict:[0-9a-f]{16}, recorded as success\n/)
  expect(await send(spring, { conversion: 'perhaps' })).toMatchObject({ code: 'ERR_CONVERSION_CALLBACK_REFUSED' })
  await seen(/ERR_CONVERSION_CALLBACK_REFUSED .+\n/)
  child.kill('SIGTERM')
  await seen(/closed\n/)
  if (child.exitCode === null) await once(child, 'exit')
  expect(child.exitCode).toBe(0)
})

test('npm start prints a curl line that works as it stands, and shows no secret in its log', async () => {
  const { child, url, seen, output } = await start('start.mjs', {
    FILE: temporary.file('start.db'),
    CONVERSION_WEBHOOK_SECRET: secret,
  })
  const [, line = ''] = await seen(/curl "(http:[^"]+)"/)
  expect(line.startsWith(url)).toBe(true)
  expect(await (await fetch(line)).json()).toEqual({ outcome: 'accepted' })
  await seen(/goalComplete: \{/)
  await seen(/GET \/webhook\/\[redacted\] 200 accepted\n/)
  expect(output().split(secret)).toHaveLength(3) // in the URL and in the curl line
  child.kill('SIGINT')
  await once(child, 'exit')
  expect(child.exitCode).toBe(0)
})

test('the demo ends with 0 after every callback was answered as it should be', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ['examples/start.mjs', '--demo'], { cwd: root })
  expect(stdout).toMatch(/all answered as they should be\.\n$/)
  expect(stdout).toMatch(/the same again +200 duplicate +-\n/)
  expect(stdout).toMatch(/success, now with the goal +200 accepted +goalComplete\n/)
  expect(stdout).toMatch(/forged: wrong secret +404 the app's own +-\n/)
})

test.each(['typescript.ts', 'rewards.ts'])('%s ends though clients ask again and again', async (file) => {
  const { child, url, seen } = await start(file, { FILE: temporary.file(`ends ${file}.db`) })
  const { before, after } = await answersAround(url + query(), async () => {
    child.kill('SIGTERM')
    await seen(/closed\n/)
    if (child.exitCode === null) await once(child, 'exit')
  })
  expect(child.exitCode).toBe(0)
  expect(after).toBeLessThan(before)
})

const friendsOrder = { orderID: '7001', referrer_email: 'anna@shop.example', referee_email: 'friend@shop.example' }

test('rewards.ts books each reward and each reversal once, also when it is killed in between', async () => {
  const file = temporary.file('rewards.db')
  const first = await start('rewards.ts', { FILE: file })
  const { url } = first
  expect(await send(url, friendsOrder)).toEqual({ outcome: 'accepted' })
  await first.seen(/7001: reward for anna@shop.example\n/)
  await first.seen(/7001: bonus for anna@shop.example\n/)
  expect(await send(url, { ...friendsOrder, orderID: 'never-paid' })).toEqual({ outcome: 'accepted' })
  first.child.kill('SIGKILL')
  await once(first.child, 'exit')

  const second = await start('rewards.ts', { FILE: file })
  const again = second.url
  expect(await send(again, friendsOrder)).toEqual({ outcome: 'duplicate' })
  expect(await send(again, { ...friendsOrder, conversion: 'fail' })).toEqual({ outcome: 'accepted' })
  await second.seen(/7001: taken back\n/)
  second.child.kill('SIGTERM')
  await second.seen(/closed\n/)
  const db = openFile(file)
  expect(db.prepare('SELECT kind, cents FROM rewards ORDER BY cents').all()).toEqual([
    { kind: 'bonus back', cents: -5000 },
    { kind: 'reward back', cents: -1200 },
    { kind: 'reward', cents: 1200 },
    { kind: 'bonus', cents: 5000 },
  ])
  db.close()
})

test.each(['connect.mjs', 'typescript.ts', 'rewards.ts', 'start.mjs'])(
  '%s makes a secret that nobody knows where none is given, and takes the given one',
  async (file) => {
    const secretOf = async (environment = {}) => {
      const { url } = await start(file, { FILE: temporary.file(`${file}.db`), ...environment })
      return url.split('/').at(-1)
    }
    const [one, another] = [await secretOf(), await secretOf()]
    expect([one, another]).toEqual([expect.stringMatching(/^[\w-]{32}$/), expect.stringMatching(/^[\w-]{32}$/)])
    expect(one).not.toBe(another)
    expect(await secretOf({ CONVERSION_WEBHOOK_SECRET: secret })).toBe(secret)
  },
)

test('rewards.ts shows its inbox to this machine only', async () => {
  const { url } = await start('rewards.ts', { FILE: temporary.file('loopback.db') })
  const inbox = new URL('/inbox', url)
  expect((await fetch(inbox)).status).toBe(200)
  inbox.hostname = '127.0.0.2' // reaches what listens on every address
  await expect(fetch(inbox)).rejects.toThrow('fetch failed')
})

test('two-processes.mjs delivers once, whichever process receives', async () => {
  const { child, seen, output } = await start('two-processes.mjs')
  await seen(/Ctrl-C/)
  const urls = [...output().matchAll(/http:\S+/g)].map(([url]) => url)
  expect(urls).toHaveLength(2)
  const outcomes = await Promise.all(urls.map((url) => send(url, friendsOrder)))
  expect(outcomes).toEqual(expect.arrayContaining([{ outcome: 'accepted' }, { outcome: 'duplicate' }]))
  await seen(/process \d+ rewarded anna@shop.example for 7001\n/)
  child.kill('SIGTERM')
  await seen(/closed\n/)
  expect(output().match(/rewarded/g)).toHaveLength(1)
}, 60_000)
