import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { connect, createServer, type AddressInfo } from 'node:net'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import type { InboxRow, InboxStats } from '../../lib/index.js'
import { cases } from '../support/cases.js'
import { cli, type Setting } from '../support/cli.js'
import { send } from '../support/client.js'
import { answersAround } from '../support/keep-alive.js'
import { startListening, type Listening } from '../support/listening.js'
import { deferred } from '../support/recorder.js'
import { hasSqlite, openFile, temporaryFolder } from '../support/sqlite.js'

const describeListen = hasSqlite ? describe : describe.skip
const secret = 'a-secret-of-the-tests'
const hasIpv6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'))

let folder: ReturnType<typeof temporaryFolder>
beforeEach(() => (folder = temporaryFolder()))
afterEach(() => folder.remove())

const file = () => folder.file('conversions.db')
const inbox = async <T>(command: string, ...argv: string[]) =>
  JSON.parse((await cli(['inbox', command, file(), '--json', ...argv])).out) as T

describeListen('listen', () => {
  const ends: (() => Promise<unknown>)[] = []
  afterEach(async () => {
    for (const end of ends.splice(0)) await end()
  })

  async function start(argv: readonly string[] = [], setting: Setting = {}) {
    const listening = await startListening(['--file', file(), ...argv], setting)
    ends.push(listening.end)
    return listening
  }

  test('callbacks to the printed URL are logged, delivered and stored in the file', async () => {
    const { callbacks, end, log } = await start(['--secret', secret])
    expect(new URL(callbacks).pathname).toBe(`/webhook/${secret}`)
    expect((await cli(['send', callbacks, '--seed', '1', '--repeat', '2', '--goal', '1'])).exitCode).toBe(0)
    await cli(['send', callbacks, '--seed', '1', '--status', 'fail', '--set', 'purchaseValue=bad'])
    await cli(['send', callbacks, '--seed', '1', '--set', 'referrer_email=other@example.com'])
    const { exitCode } = await end()
    expect(exitCode).toBe(0)
    const lines = log().map(({ what, about, orderId }) => [what, about, orderId].filter(Boolean).join(' '))
    expect(lines.sort()).toEqual([
      'accepted success DEMO-1-1',
      'conflict success, recorded as success DEMO-1-1',
      'delivered goalComplete DEMO-1-1',
      'delivered success DEMO-1-1',
      'duplicate success DEMO-1-1',
      'refused ERR_CONVERSION_CALLBACK_REFUSED',
    ])
    expect(await inbox<InboxStats>('stats')).toMatchObject({
      callbacks: { accepted: 1, duplicate: 1, stale: 0, conflict: 1, refused: 1 },
      deliveries: { done: 2, waiting: 0 },
    })
  })

  test('the log holds no name, address or secret', async () => {
    const { callbacks, end } = await start(['--secret', secret])
    await cli(['send', callbacks, '--burst', '5'])
    await cli(['send', callbacks, '--broken'])
    const { out } = await end()
    const log = out.split('\n').slice(1).join('\n')
    expect(log).toContain('"answered"')
    expect(log).not.toMatch(new RegExp(`@example|Robert|Downy|${secret}`))
  })

  test.each([
    ['eva@example.com', 'e•••@e•••.com'],
    ['eva%40example.com', 'e•••@e•••.com'],
    ['+49 170 1234567', '•••567'],
    ['01701234567', '•••567'],
    ['+49\u2011170\u20111234567', '•••567'],
    ['٠١٧٠١٢٣٤٥٦٧', '•••٥٦٧'],
    ['%2B49%201701234567', '•••567'],
    ['tel:+491701234567', 'tel:•••567'],
    ['eva@example.com|+491701234567', 'e•••@e•••.com•••'],
    ['01701234567,eva@example.com', '•••567,e•••@e•••.com'],
    ['eva%2540example.com', 'e•••@e•••.com'],
    ['eva＠example.com', 'e•••@e•••.com'],
    ['123456', '123456'],
    ['DEMO-1234567', 'DEMO-1234567'],
  ])(
    'the order id %p is logged as %p, since registrations have addresses and numbers there',
    async (orderID, shown) => {
      const { callbacks, end, log } = await start(['--secret', secret])
      await cli(['send', callbacks, '--set', `orderID=${orderID}`])
      await cli(['send', callbacks, '--set', `orderID=${orderID}`, '--set', 'purchaseValue=7'])
      const { out } = await end()
      const orders = log().flatMap(({ what, orderId }) => (orderId === undefined ? [] : [[what, orderId]]))
      expect(orders.sort()).toEqual(['accepted', 'conflict', 'delivered'].map((what) => [what, shown]))
      if (shown !== orderID) expect(out).not.toContain(orderID)
    },
  )

  test('a client that sends half a request cannot keep listen from ending', async () => {
    const { port, end } = await start()
    const socket = connect(port, '127.0.0.1')
    ends.push(() => Promise.resolve(socket.destroy()))
    socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\nGET / HTTP/1.1\r\nHost:')
    await once(socket, 'data') // the first is answered: half of the second has been sent
    const closed = once(socket, 'close')
    expect((await end()).exitCode).toBe(0)
    await closed
  })

  test('clients that send request after request on kept connections cannot keep listen from ending', async () => {
    const { callbacks, end } = await start()
    const { before, after } = await answersAround(callbacks, async () => expect((await end()).exitCode).toBe(0))
    expect(after).toBeLessThan(before)
  })

  test('without --json it prints the URLs and what to do next', async () => {
    const interruption = new AbortController()
    const { out, err } = await cli(['listen', '--port', '0', '--file', file(), '--secret', secret], {
      interrupted: interruption.signal,
      watch: (text) => {
        if (text.endsWith('\n\n')) void callThen(text, () => interruption.abort())
      },
      isTerminal: true,
      env: { NO_COLOR: '1' },
    })
    expect(out).toMatch(
      /^Receiving into .+\n {2}callbacks {2}http.+\n {2}inspector {2}http.+\nTry it, in another terminal:\n/,
    )
    expect(out).toContain(`  npx --no -- conversion-webhook send 'http://127.0.0.1:`)
    expect(out).toMatch(/\n\d\d:\d\d:\d\d {2}accepted {3}success {7}DEMO-7-1\n/)
    expect(out).toMatch(
      /\n\d\d:\d\d:\d\d {2}conflict {3}success, recorded as success {2}DEMO-7-1 {4}differs in purchaseValue\n/,
    )
    expect(out).toMatch(/\n\S+ {2}refused {4}ERR_CONVERSION_CALLBACK_REFUSED {4}purchaseValue must be a plain .*\n/)
    expect(out).toMatch(/\n\d\d:\d\d:\d\d {2}answered {3}GET with 204\n/)
    expect(err).toContain('Nothing is lost')
  })

  test.each([
    ['without one', {}, true],
    ['with an empty one', { CONVERSION_WEBHOOK_SECRET: ' ' }, true],
    ['with one', { CONVERSION_WEBHOOK_SECRET: secret }, false],
  ])('%s in the environment it prints whether the next start has another secret', async (_what, env, isNew) => {
    const argv = ['listen', '--port', '0', '--host', hasIpv6 ? '::1' : '127.0.0.1', '--file', file()]
    const { exitCode, out } = await cli(argv, {
      interrupted: AbortSignal.abort(),
      env: { ...env, NODE_ENV: 'production' },
    })
    expect(exitCode).toBe(0)
    expect(out).toMatch(/\n {2}callbacks {2}http:\/\/(\[::1\]|127\.0\.0\.1):\d+\/webhook\/\S{16,}\nTry it/) // no inspector
    expect(out.includes('Each start makes a new secret')).toBe(isNew)
  })

  async function callThen(text: string, then: () => void) {
    const url = /callbacks {2}(\S+)/.exec(text)?.[1] ?? ''
    for (const argv of [[], ['--set', 'purchaseValue=7'], ['--set', 'purchaseValue=seven']]) {
      await cli(['send', url, '--seed', '7', ...argv])
    }
    const { port, pathname } = new URL(url)
    await send(Number(port), pathname)
    then()
  }

  test('the secret comes from the environment, or is a new one', async () => {
    const { callbacks, end } = await start([], { env: { CONVERSION_WEBHOOK_SECRET: ` ${secret} , another` } })
    expect(callbacks).toContain(`/webhook/${secret}`)
    await end()
    const { callbacks: random, end: endRandom } = await start()
    expect(random).toMatch(/\/webhook\/[\w-]{32}$/)
    await endRandom()
  })

  test('a wrong secret and paths outside the mount are answered with 404', async () => {
    const { port, end } = await start(['--secret', secret], { env: { NODE_ENV: 'production' } })
    for (const path of ['/webhook/another-secret-than-that', '/webhooks', '/', '/webhook/a/b']) {
      expect((await send(port, path)).status).toBe(404)
    }
    expect((await send(port, '/webhook')).status).toBe(401)
    await end()
  })

  test('the inspector is served, except in production', async () => {
    const development = await start(['--secret', secret])
    expect(development.inspector).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/\?token=[\w-]{43}$/)
    await development.end()
    const production = await start(['--secret', secret], { env: { NODE_ENV: 'production' } })
    expect(production.inspector).toBeUndefined()
    await production.end()
  })

  test('a port that is in use is an error that names --port', async () => {
    const other = createServer()
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
    const { port } = other.address() as AddressInfo
    const { exitCode, err } = await cli(['listen', '--port', String(port), '--file', file()])
    expect([exitCode, err]).toEqual([
      1,
      `conversion-webhook: port ${String(port)} is in use: choose another with --port\n`,
    ])
    await new Promise((resolve) => other.close(resolve))
  })

  test.each([
    [['--host', 'no.such.host.invalid'], 2, /cannot be used/],
    [['--secret', 'short'], 1, /ERR_CONVERSION_SECRET_SHORT/],
  ])('%j fails, and the error says why', async (argv, code, message) => {
    const { exitCode, err } = await cli(['listen', '--port', '0', '--file', file(), ...argv])
    expect(exitCode).toBe(code)
    expect(err).toMatch(message)
  })

  test('a failure of the storage is a line of the log, and callbacks are recorded when the storage works again', async () => {
    const { callbacks, end, log } = await start(['--secret', secret])
    const other = openFile(file())
    other.exec('BEGIN IMMEDIATE')
    expect((await cli(['send', callbacks, '--seed', '1'])).out).toMatch(/^503 ERR_CONVERSION_INBOX_UNAVAILABLE /)
    other.exec('ROLLBACK')
    other.close()
    expect((await cli(['send', callbacks, '--seed', '1'])).out).toMatch(/^200 accepted /)
    await end()
    const [first, ...rest] = log()
    expect(first).toMatchObject({ what: 'failed', about: 'inbox', message: 'database is locked' })
    const answers = rest.filter(({ what }) => what !== 'failed' && what !== 'delivered')
    expect(answers).toMatchObject([
      { what: 'answered', about: 'GET with 503' },
      { what: 'accepted', orderId: 'DEMO-1-1' },
    ])
  })

  test('with --quiet it receives and delivers without a log', async () => {
    const { callbacks, end } = await start(['--secret', secret, '--quiet'])
    await cli(['send', callbacks, '--goal', '1'])
    while ((await inbox<InboxStats>('stats')).deliveries.done < 2) await new Promise(setImmediate)
    const { out } = await end()
    expect(out.trim().split('\n')).toHaveLength(1)
  })

  test('with --host 0.0.0.0 it prints a URL of localhost', async () => {
    const { callbacks, end } = await start(['--host', '0.0.0.0'])
    expect(new URL(callbacks).hostname).toBe('localhost')
    expect((await cli(['send', callbacks.replace('localhost', '127.0.0.1')])).exitCode).toBe(0)
    await end()
  })
})

/** These tests run the built command in a child process. */
describeListen('the command', () => {
  const command = join(__dirname, '../../dist/esm/cli.js')
  const children: ChildProcess[] = []
  afterEach(() => {
    for (const child of children.splice(0)) child.kill('SIGKILL')
  })

  async function start(...argv: string[]) {
    const child = spawn(process.execPath, [command, 'listen', '--json', '--file', file(), ...argv], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, CONVERSION_WEBHOOK_SECRET: secret, NODE_ENV: '' },
    })
    children.push(child)
    let out = ''
    const first = deferred()
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      out += text
      if (out.includes('\n')) first.resolve()
    })
    await Promise.race([first.promise, once(child, 'exit')])
    const { listening } = JSON.parse(out.split('\n')[0] ?? '') as { listening: Listening }
    const port = new URL(listening.callbacks).port
    const exited = once(child, 'exit')
    return { child, exited, port, url: listening.callbacks }
  }

  const orders = async () =>
    new Set((await inbox<InboxRow[]>('list', '--limit', '1000')).map(({ params }) => params.orderID))

  test('loses and doubles nothing when it is interrupted in the middle of a burst, and started again', async () => {
    const { child, exited, url, port } = await start('--port', '0')
    const argv = ['send', url, '--seed', '5', '--burst', '300', '--repeat', '2', '--out-of-order', '--json']
    const sending = cli([...argv, '--rate', '2000'])
    while ((await inbox<InboxStats>('stats').catch(() => undefined))?.callbacks.accepted === 0)
      await new Promise(setImmediate)
    child.kill('SIGINT')
    expect(await exited).toEqual([0, null])
    const { answers } = JSON.parse((await sending).out) as { answers: Record<string, number> }
    const before = await inbox<InboxStats>('stats')
    expect(before.callbacks.accepted).toBeGreaterThanOrEqual(answers['200 accepted'] ?? 0)

    const again = await start('--port', port)
    const { answers: second } = JSON.parse((await cli(argv.with(1, again.url))).out) as {
      answers: Record<string, number>
    }
    expect(Object.keys(second).every((label) => label.startsWith('200 '))).toBe(true)
    again.child.kill('SIGINT')
    expect(await again.exited).toEqual([0, null])
    expect((await orders()).size).toBe(300)
    const { deliveries, callbacks } = await inbox<InboxStats>('stats')
    expect(deliveries).toMatchObject({ waiting: 0, running: 0, dead: 0 })
    const successes = await inbox<InboxRow[]>('list', '--limit', '1000', '--state', 'done')
    expect(successes.filter(({ event }) => event === 'success')).toHaveLength(300)
    expect(callbacks.conflict).toBe(0)
  })

  const burst = cases(10_000)
  test(`${String(burst)} conversions with repeats, in any order, are each delivered once`, async () => {
    const { child, exited, url } = await start('--port', '0', '--quiet')
    const argv = ['send', url, '--burst', String(burst), '--repeat', '2', '--out-of-order', '--goal', '3', '--json']
    const { answers, sent } = JSON.parse((await cli(argv)).out) as { answers: Record<string, number>; sent: number }
    child.kill('SIGINT')
    expect(await exited).toEqual([0, null])
    expect([sent, Object.keys(answers).sort()]).toEqual([4 * burst, ['200 accepted', '200 duplicate', '200 stale']])
    const { callbacks, deliveries } = await inbox<InboxStats>('stats')
    expect(callbacks).toEqual({
      accepted: answers['200 accepted'],
      duplicate: answers['200 duplicate'],
      stale: answers['200 stale'],
      conflict: 0,
      refused: 0,
    })
    const pending = callbacks.accepted - burst // each accepted success is one, and so is each pending before it
    expect(deliveries).toEqual({
      waiting: 0,
      held: 0,
      running: 0,
      dead: 0,
      withdrawn: 0,
      refused: 0,
      done: burst + Math.floor(burst / 3) + pending,
    })
  }, 120_000)

  test('a second Ctrl-C ends the process while the command still runs', async () => {
    const { child, exited, port } = await start('--port', '0')
    const hanging = spawn(
      process.execPath,
      [
        '-e',
        `
      const socket = require('node:net').connect(${port}, '127.0.0.1', () => {
        socket.write('POST /webhook/${secret} HTTP/1.1\\r\\nHost: x\\r\\nContent-Type: application/json\\r\\nContent-Length: 100\\r\\n\\r\\n{')
        console.log('sent')
      })
      socket.on('error', () => {})
    `,
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    )
    children.push(hanging)
    await once(hanging.stdout, 'data')
    expect((await send(Number(port), `/webhook/${secret}`)).status).toBe(204) // the request before it has arrived too
    child.kill('SIGINT')
    const waitForEnd = setInterval(() => child.kill('SIGINT'), 50)
    expect(await exited).toEqual([130, null])
    clearInterval(waitForEnd)
  })

  test('the installed command prints help, and ends when the reader of its output is gone', async () => {
    expect(existsSync(command)).toBe(true)
    const child = spawn(process.execPath, [command, '--help'], { stdio: ['ignore', 'pipe', 'inherit'] })
    children.push(child)
    child.stdout.destroy()
    const [code] = (await once(child, 'exit')) as [number]
    expect(code).toBe(0)
  })
})
