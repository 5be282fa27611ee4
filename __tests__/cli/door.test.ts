import { createServer } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { once } from 'node:events'
import { describeInBrowser, launch, openPage, type Browser } from '../support/browser.js'
import { cli, type Setting } from '../support/cli.js'
import { send } from '../support/client.js'
import { startListening } from '../support/listening.js'
import { closeServers, listen } from '../support/servers.js'
import { hasSqlite, temporaryFolder } from '../support/sqlite.js'

const describeListen = hasSqlite ? describe : describe.skip

let folder: ReturnType<typeof temporaryFolder>
const ends: (() => unknown)[] = []
beforeEach(() => (folder = temporaryFolder()))
afterEach(async () => {
  for (const end of ends.splice(0)) await end()
  await closeServers()
  folder.remove()
})

async function start(argv: readonly string[] = [], setting: Setting = {}) {
  const listening = await startListening(['--file', folder.file(`${String(ends.length)}.db`), ...argv], setting)
  ends.push(listening.end)
  const { port, inspector = '' } = listening
  const { pathname, search } = new URL(inspector)
  const get = (path: string, headers: object = {}, method = 'GET') =>
    send(port, path, { method, headers: { ...headers } })
  return { ...listening, inspector, entrance: pathname + search, get }
}

type Started = Awaited<ReturnType<typeof start>>

/** Opens the printed URL, as a browser does, and resolves with the cookie. */
async function enter({ get, entrance }: Started, headers: object = {}) {
  const { status, headers: said } = await get(entrance, headers)
  expect([status, said.location]).toEqual([302, './'])
  const [cookie = ''] = said['set-cookie'] ?? []
  return cookie.split(';')[0] ?? ''
}

describeListen('the inspector behind listen', () => {
  test('the printed URL works once, and the cookie lets only that browser in', async () => {
    const started = await start()
    const { get, entrance, port } = started
    const { status, headers } = await get(entrance)
    expect([status, headers.location]).toEqual([302, './'])
    const [line = ''] = headers['set-cookie'] ?? []
    expect(line).toMatch(/^conversion-webhook-\d+=[\w-]{43}; HttpOnly; SameSite=Strict$/)
    expect(line.startsWith(`conversion-webhook-${String(port)}=`)).toBe(true)
    expect(headers).toMatchObject({ 'referrer-policy': 'no-referrer', 'cache-control': 'no-store' })
    const [Cookie = ''] = line.split(';')
    const page = await get('/', { Cookie })
    expect([page.status, page.body.includes('<title>Conversions</title>')]).toEqual([200, true])
    const among = await get('/page.js', { Cookie: `a=b; ${Cookie}; c` })
    expect(among.status).toBe(200)
    const again = await get(entrance)
    expect([again.status, again.headers['set-cookie']]).toEqual([403, undefined])
    expect(again.body).toContain('This token has been used')
    const mine = await get(entrance, { Cookie })
    expect([mine.status, mine.headers.location]).toEqual([302, './'])
  })

  test('every request without the cookie gets a 403 that says what to do', async () => {
    const started = await start()
    const Cookie = await enter(started)
    const cookie = Cookie.slice(0, -1)
    const token = started.entrance.slice(0, -1)
    for (const [path, headers] of [
      ['/', {}],
      ['/page.js', {}],
      ['/nothing', {}],
      ['/', { Cookie: cookie }],
      ['/', { Cookie: Cookie.replace('=', '2=') }],
      ['/', { Cookie: Cookie.split('=')[1] }],
      [token, {}],
      ['/?token=', {}],
      ['/?token', {}],
      ['/page.js?token=x', {}],
    ] as const) {
      const { status, headers: said, body } = await started.get(path, headers)
      expect([path, status, said['content-type']]).toEqual([path, 403, 'text/html; charset=utf-8'])
      expect(said['content-security-policy']).toMatch(/^default-src 'none'/)
      expect(body).toMatch(/Open the inspector with the .* that was printed .* start it again: it prints a new one/)
      expect(body).not.toContain(started.entrance.slice('/?token='.length))
    }
  })

  test('every request of the API needs the cookie too', async () => {
    const started = await start()
    const asPage = { 'Content-Type': 'application/json', 'X-Conversion-Inspector': '1' }
    const ask = (headers: object) =>
      send(started.port, '/api/rows', { method: 'POST', headers: { ...asPage, ...headers }, body: '{}' })
    expect((await ask({})).status).toBe(403)
    expect((await ask({ Cookie: await enter(started) })).status).toBe(200)
  })

  test.each([
    ['HEAD', {}],
    ['POST', {}],
    ['GET', { 'Sec-Purpose': 'prefetch;prerender' }],
    ['GET', { Purpose: 'prefetch' }],
    ['GET', { 'X-Moz': 'prefetch' }],
    ['GET', { 'X-Purpose': 'preview' }],
  ])('%s with %j is refused and leaves the token usable', async (method, headers) => {
    const started = await start()
    const { status, headers: said } = await started.get(started.entrance, headers, method)
    expect([status, said['set-cookie']]).toEqual([403, undefined])
    await enter(started)
  })

  test('a wrong token leaves the right one usable', async () => {
    const started = await start()
    expect((await started.get('/?token=wrong')).status).toBe(403)
    await enter(started)
  })

  test('refuses requests through a tunnel, whatever host they name', async () => {
    const { port } = await start()
    const tunnel = createServer().on('connection', (socket) => {
      socket.removeAllListeners('data')
      const inside = connect(port, '127.0.0.1')
      socket.pipe(inside).pipe(socket)
    })
    tunnel.listen(0, '127.0.0.1')
    await once(tunnel, 'listening')
    ends.unshift(() => tunnel.close())
    const { status, body } = await send((tunnel.address() as AddressInfo).port, '/', { headers: { Host: 'localhost' } })
    expect([status, body.includes('The inspector is closed')]).toEqual([403, true])
  })

  test.each([
    ['another host, as DNS rebinding names it', { Host: 'evil.example' }],
    ['a proxy', { 'X-Forwarded-For': '203.0.113.7' }],
  ])('refuses requests through %s, with token or cookie', async (_what, headers) => {
    const started = await start()
    const refused = await started.get(started.entrance, headers)
    expect([refused.status, refused.headers['set-cookie']]).toEqual([403, undefined])
    expect(refused.body).toContain('under a host name of this machine, and not through a proxy')
    const Cookie = await enter(started)
    expect((await started.get('/', { ...headers, Cookie })).status).toBe(403)
  })

  test('each start has a new token and cookie, and two on one host do not overwrite the cookie of the other', async () => {
    const [one, other] = [await start(), await start()]
    expect(one.entrance).not.toBe(other.entrance)
    expect((await other.get(one.entrance)).status).toBe(403)
    const cookies = [await enter(one), await enter(other)]
    const [first = '', second = ''] = cookies.map((cookie) => cookie.split('=')[0])
    expect(first).not.toBe(second)
    for (const { get } of [one, other]) expect((await get('/', { Cookie: cookies.join('; ') })).status).toBe(200)
    const port = String(one.port)
    await one.end()
    const again = await start(['--port', port])
    expect((await again.get('/', { Cookie: cookies.join('; ') })).status).toBe(403)
  })

  test.each([
    ['0.0.0.0', 'localhost'],
    ['localhost', 'localhost'],
  ])('on %s the printed URL names %s, and opens it', async (host, name) => {
    const started = await start(['--host', host])
    const { hostname, port } = new URL(started.inspector)
    expect(hostname).toBe(name)
    const Host = `${hostname}:${port}`
    const Cookie = await enter(started, { Host })
    expect((await started.get('/', { Host, Cookie })).status).toBe(200)
  })
})

const describeListenInBrowser = hasSqlite ? describeInBrowser : describe.skip

describeListenInBrowser('a browser at listen', () => {
  let browser: Browser
  beforeAll(async () => {
    browser = await launch()
  }, 60_000)
  afterAll(() => browser.close())

  test('opens the printed URL, shows what is received, and has no token in its history', async () => {
    const { inspector, callbacks, end } = await start()
    await cli(['send', callbacks, '--seed', '1'])
    const { page, context, complaints } = await openPage(browser, inspector)
    await page.getByText('DEMO-1-1').first().waitFor()
    expect(page.url()).toBe(new URL('/', inspector).href)
    expect(await page.evaluate('[document.referrer, document.cookie, history.length]')).toEqual(['', '', 2]) // one of the two is about:blank
    expect(complaints).toEqual([])
    await page.goto(inspector) // once more, in the same browser
    await page.getByText('DEMO-1-1').first().waitFor()
    expect(page.url()).toBe(new URL('/', inspector).href)

    const { page: stranger, context: other } = await openPage(browser, inspector)
    await stranger.getByText('This token has been used').waitFor()
    await context.close()
    await other.close()
    await end()
  })

  test('is let in too when it follows a link on a page of another site', async () => {
    const { inspector, callbacks, end } = await start()
    await cli(['send', callbacks, '--seed', '1'])
    const terminal = await listen((_req, res) => {
      res.writeHead(200, { 'Content-Type': 'text/html' }).end(`<a href="${inspector}">open</a>`)
    })
    const { page, context } = await openPage(browser, terminal.url.replace('127.0.0.1', 'localhost'))
    await page.getByText('open').click()
    await page.getByText('DEMO-1-1').first().waitFor()
    expect(page.url()).toBe(new URL('/', inspector).href)
    await page.goBack()
    expect(page.url()).not.toContain('token')
    await context.close()
    await end()
  })
})
