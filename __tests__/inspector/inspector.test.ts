import createDebug from 'debug'
import express from 'express'
import { request, type RequestListener } from 'node:http'
import { once } from 'node:events'
import { connect } from 'node:net'
import { format } from 'node:util'
import { conversionWebhook, memoryInbox, type InboxStats } from '../../lib/index.js'
import { conversionInspector, type ConversionInspectorOptions } from '../../lib/inspector.js'
import type { Overview, Rows } from '../../lib/inspector/api.js'
import { Overviews } from '../../lib/inspector/overview.js'
import { rowView, type EntryView } from '../../lib/inspector/view.js'
import { params, sample } from '../support/callbacks.js'
import { send, type Reply, type Sent } from '../support/client.js'
import { withEnvironment } from '../support/recorder.js'
import { closeServers, frameworks, listen } from '../support/servers.js'

afterEach(closeServers)

const asPage = { 'Content-Type': 'application/json', 'X-Conversion-Inspector': '1' }

/** An inspector at /admin with one conversion done, one failed, one refused and one conflict. */
async function start(options: ConversionInspectorOptions = { authorize: () => true }, mount = frameworks['Express 5']) {
  const told: unknown[] = []
  let isBroken = true
  const onSuccess = ({ orderId }: { orderId?: string }) => {
    if (orderId === 'DEAD' && isBroken) throw new Error('no account of robert@example.com')
    told.push(orderId)
  }
  const inbox = memoryInbox()
  const webhook = conversionWebhook({ onSuccess, onError: () => undefined }, { secret: false, inbox, scope: 'spring' })
  const report = (orderID: string, changes = {}) =>
    webhook.accept(params({ conversion: 'success', orderID, goal_complete: '0', ...changes })).catch(() => undefined)
  await report('DONE', { referrer_email: 'robert@example.com', referrer_name: 'Robert', note: 'a friend' })
  await report('DEAD')
  await report('DONE', { purchaseValue: '7' })
  await report('ODD', { purchaseValue: '$7', referrer_email: 'odd@example.com' })
  const inspector = conversionInspector(inbox, options)
  const listener = mount?.('/admin', inspector) ?? (() => undefined)
  const { port } = await listen(listener)
  const base = mount === frameworks['node:http'] ? '' : '/admin'
  const call = (path: string, sent?: Sent) => send(port, `${base}${path}`, sent)
  const post = (name: string, body: unknown = {}, headers: object = {}) =>
    call(`/api/${name}`, { method: 'POST', headers: { ...asPage, ...headers }, body: JSON.stringify(body) })
  return {
    port,
    inbox,
    told,
    call,
    post,
    report,
    mend: () => (isBroken = false),
    ask: async <T>(name: string, body: unknown = {}) => {
      const reply = await post(name, body)
      expect(reply.status).toBe(200)
      return JSON.parse(reply.body) as T
    },
  }
}

const problemOf = ({ body }: Reply) => JSON.parse(body) as { status: number; code?: string }

describe.each(Object.entries(frameworks))('under %s', (name, mount) => {
  test('the page and its files are served with their security headers, and load nothing else', async () => {
    const { call } = await start(undefined, mount)
    const html = await call('/')
    expect(html.status).toBe(200)
    expect(html.headers['content-type']).toBe('text/html; charset=utf-8')
    const linked = [...html.body.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, link]) => link)
    expect(linked).toEqual(['data:,', 'page.css', 'page.js'])
    for (const link of linked.slice(1)) {
      const { status, headers, body } = await call(`/${link ?? ''}`)
      expect([link, status, body.length > 500]).toEqual([link, 200, true])
      expect(headers['content-type']).toMatch(/^text\/(css|javascript); charset=utf-8$/)
      expect(headers['x-content-type-options']).toBe('nosniff')
    }
    expect(html.headers['cache-control']).toBe('no-store')
    expect(html.headers['content-security-policy']).toBe(
      "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    )
    expect(html.body).not.toMatch(/<style|style=|<script(?! src)|\son\w+=/)
  })

  test('questions are answered, and other paths are passed on', async () => {
    const { ask, call } = await start(undefined, mount)
    const { callbacks } = await ask<Overview>('overview')
    expect(callbacks).toMatchObject({ accepted: 2, conflict: 1, refused: 1 })
    expect((await call('/nothing')).status).toBe(404)
    expect((await call('/page.html')).status).toBe(404)
    expect(name).toBeTruthy()
  })
})

test('a path without a slash at its end redirects to the path with one, never to another host', async () => {
  const { port, call } = await start()
  const { status, headers } = await send(port, '/admin?x=1')
  expect([status, headers.location]).toEqual([302, './admin/?x=1'])
  expect((await call('/?x=1')).status).toBe(200)
  const app = express().use('//evil.example', conversionInspector(memoryInbox(), { authorize: () => true }))
  const other = await listen(app as RequestListener)
  const { headers: said } = await send(other.port, '//evil.example')
  expect(said.location ?? './').toMatch(/^\.\//)
})

test('HEAD is answered like GET without a body, other methods with 405', async () => {
  const { call } = await start()
  const [got, head] = [await call('/'), await call('/', { method: 'HEAD' })]
  expect([head.status, head.body, head.headers['content-length']]).toEqual([200, '', got.headers['content-length']])
  const posted = await call('/', { method: 'POST' })
  expect([posted.status, posted.headers.allow]).toEqual([405, 'GET, HEAD'])
  const asked = await call('/api/overview')
  expect([asked.status, asked.headers.allow]).toEqual([405, 'POST'])
})

describe('who may see it', () => {
  const everything = ['/', '/page.js', '/page.css']

  test.each([
    ['false', () => false],
    ['a promise of false', () => Promise.resolve(false)],
    ['nothing', () => undefined as never],
    ['an object', () => ({ id: 1 }) as never],
  ])('no request for which authorize returns %s', async (_what, authorize) => {
    const { call, post } = await start({ authorize })
    for (const path of everything) expect((await call(path)).status).toBe(403)
    for (const api of ['overview', 'rows', 'entry', 'replay']) {
      const { status, body } = await post(api, { id: 'x' })
      expect([status, body]).toEqual([403, '{"type":"about:blank","status":403,"title":"Forbidden"}'])
    }
  })

  test.each([
    ['throws', 'TypeError E_LOGIN', () => raise(Object.assign(new TypeError('S3CRET'), { code: 'E_LOGIN' }))],
    ['rejects', 'Error', () => Promise.reject(new Error('S3CRET'))],
    ['throws no error', 'an object', () => raise({ name: 'S3CRET' })],
    ['throws an odd error', 'an error', () => raise(Object.assign(new Error('S3CRET'), { code: Symbol('S3CRET') }))],
  ])('no request when authorize %s: a debug line only names the error', async (_how, named, authorize) => {
    const { call, post } = await start({ authorize })
    const lines: string[] = []
    const log = jest.spyOn(createDebug, 'log').mockImplementation((...args: unknown[]) => lines.push(format(...args)))
    createDebug.enable('conversion-webhook:answer')
    try {
      for (const reply of [await call('/'), await post('rows')]) {
        expect(reply.status).toBe(403)
        expect(JSON.stringify(reply)).not.toContain('S3CRET')
      }
    } finally {
      createDebug.disable()
      log.mockRestore()
    }
    const line = expect.stringContaining(`inspector 403, authorize failed: ${named}`) as string
    expect(lines).toEqual([line, line])
    expect(lines.join()).not.toContain('S3CRET')
  })

  function raise(error: unknown): never {
    throw error
  }

  test('every request for which authorize returns true', async () => {
    const { call } = await start({ authorize: ({ headers }) => headers['x-user'] === 'admin' })
    expect((await call('/')).status).toBe(403)
    expect((await call('/', { headers: { 'X-User': 'admin' } })).status).toBe(200)
  })

  describe('without authorize', () => {
    let warn: jest.SpyInstance
    beforeEach(() => (warn = jest.spyOn(process, 'emitWarning').mockImplementation()))
    afterEach(() => warn.mockRestore())

    function printed() {
      const [message, details] = warn.mock.lastCall as [string, object]
      expect(details).toEqual({ type: 'ConversionWebhookWarning', code: 'WRN_CONVERSION_AUTHORIZE_MISSING' })
      return /\?token=[\w-]{43}/.exec(message)?.[0] ?? ''
    }

    const open = async (mount?: (typeof frameworks)[string]) => ({ ...(await start({}, mount)), token: printed() })

    const cookieOf = ({ headers }: Reply) => headers['set-cookie']?.[0]?.split(';')[0] ?? ''

    test.each(Object.entries(frameworks))('the printed token opens the page once, under %s', async (_name, mount) => {
      const { call, post, token } = await open(mount)
      const opened = await call(`/${token}`)
      expect([opened.status, opened.headers.location]).toEqual([302, './'])
      expect(opened.headers['set-cookie']?.[0]).toMatch(/; HttpOnly; SameSite=Strict$/)
      const headers = { Cookie: cookieOf(opened) }
      for (const path of everything) expect((await call(path, { headers })).status).toBe(200)
      expect((await post('overview', {}, headers)).status).toBe(200)
      const again = await call(`/${token}`)
      expect([again.status, again.headers['set-cookie']]).toEqual([403, undefined])
      expect(again.body).toContain('This token has been used')
    })

    test('the token may stand behind a path without a slash at its end', async () => {
      const { port, token } = await open()
      const { headers } = await send(port, `/admin${token}`)
      expect(headers.location).toBe(`./admin/${token}`)
    })

    test('a stranger behind a proxy of this machine that adds no header sees nothing and replays nothing', async () => {
      const { port, call, post, inbox } = await open()
      const headers = { Host: `127.0.0.1:${String(port)}`, Connection: 'close' } // as nginx forwards unless told to do otherwise
      for (const path of [...everything, '/?token=', `/?token=${'x'.repeat(43)}`]) {
        const { status, body } = await call(path, { headers })
        expect([status, body.includes('The inspector is closed')]).toEqual([403, true])
      }
      const [row] = await inbox.list({ state: 'refused' })
      for (const api of ['overview', 'rows', 'entry', 'replay']) {
        expect((await post(api, { id: row?.id }, headers)).status).toBe(403)
      }
      expect(await inbox.list({ state: 'refused' })).toHaveLength(1)
    })

    test.each([
      ['localhost', {}, 302],
      ['localhost:8080', {}, 302],
      ['shop.localhost', {}, 302],
      ['127.0.0.1:3000', {}, 302],
      ['[::1]:3000', {}, 302],
      ['shop.example', {}, 403],
      ['127.0.0.1.evil.example', {}, 403],
      ['localhost.evil.example', {}, 403],
      ['not a host', {}, 403],
      ['localhost', { 'X-Forwarded-For': '203.0.113.7' }, 403],
      ['localhost', { Forwarded: 'for=203.0.113.7' }, 403],
      ['localhost', { Via: '1.1 proxy' }, 403],
    ])('Host %p, %j with the token is answered with %i', async (host, headers, status) => {
      const { call, token } = await open()
      const opened = await call(`/${token}`, { headers: { Host: host, ...headers } })
      expect([opened.status, cookieOf(opened) === '']).toEqual([status, status === 403])
    })

    test('no request without a Host header gets in', async () => {
      const { port, token } = await open()
      const socket = connect(port, '127.0.0.1')
      socket.end(`GET /admin/${token} HTTP/1.0\r\n\r\n`)
      const [answer] = (await once(socket.setEncoding('utf8'), 'data')) as [string]
      expect(answer).toMatch(/^HTTP\/1\.1 403 /)
      socket.destroy()
    })

    test('no request from another address gets in', async () => {
      const inspector = conversionInspector(memoryInbox())
      const token = printed()
      const { port } = await listen((req, res) => {
        Object.defineProperty(req.socket, 'remoteAddress', { value: '192.0.2.7' })
        inspector(req, res)
      })
      expect((await send(port, `/${token}`, { headers: { Host: 'localhost' } })).status).toBe(403)
    })
  })
})

describe('the factory throws', () => {
  const built = (...args: unknown[]) => (conversionInspector as (...given: unknown[]) => unknown)(...args)

  test('in production without authorize', () => {
    const putBack = withEnvironment({ NODE_ENV: 'production' })
    try {
      expect(() => built(memoryInbox())).toThrow(
        expect.objectContaining({ code: 'ERR_CONVERSION_AUTHORIZE_MISSING' }) as Error,
      )
      expect(() => built(memoryInbox(), { authorize: () => false })).not.toThrow()
    } finally {
      putBack()
    }
  })

  test.each([
    [[], 'ERR_CONVERSION_INBOX_INVALID', 'conversionInspector(webhook.inbox)'],
    [[{}], 'ERR_CONVERSION_INBOX_INVALID', 'conversionInspector(webhook.inbox)'],
    [[conversionWebhook({}, { secret: false })], 'ERR_CONVERSION_INBOX_INVALID', 'conversionInspector(webhook.inbox)'],
    [[memoryInbox(), { authorise: () => true }], 'ERR_CONVERSION_OPTION_UNKNOWN', 'did you mean authorize'],
    [[memoryInbox(), { authorize: true }], 'ERR_CONVERSION_OPTION_INVALID', 'authorize must be a function'],
    [[memoryInbox(), null], 'ERR_CONVERSION_OPTION_INVALID', 'must be an object'],
  ])('with %p', (args, code, message) => {
    expect(() => built(...args)).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(message) as string }) as Error,
    )
  })
})

describe('the API answers', () => {
  test.each([
    ['another origin', { Origin: 'https://evil.example' }],
    ['another port of this host', { Origin: 'http://127.0.0.1:1' }],
    ['an opaque origin', { Origin: 'null' }],
    ['another site', { 'Sec-Fetch-Site': 'cross-site' }],
    ['a sister site', { 'Sec-Fetch-Site': 'same-site' }],
    ['the address bar', { 'Sec-Fetch-Site': 'none' }],
    ['a form', { 'Content-Type': 'application/x-www-form-urlencoded' }],
    ['a page that says no type', { 'Content-Type': [] }],
    ['a form that looks like JSON', { 'Content-Type': 'text/plain; application/json' }],
    ['a page that may not set headers', { 'X-Conversion-Inspector': '' }],
  ])('not %s', async (_who, headers) => {
    const { post, inbox } = await start()
    const [row] = await inbox.list({ state: 'refused' })
    for (const name of ['overview', 'rows', 'entry', 'replay']) {
      expect((await post(name, { id: row?.id }, headers)).status).toBe(403)
    }
    expect(await inbox.list({ state: 'refused' })).toHaveLength(1)
  })

  test('its own page, with the headers that browsers add', async () => {
    const { port, post } = await start()
    const headers = { Origin: `http://127.0.0.1:${String(port)}`, 'Sec-Fetch-Site': 'same-origin' }
    expect((await post('overview', {}, headers)).status).toBe(200)
  })

  test('no CORS preflight of another origin', async () => {
    const { call } = await start()
    const preflight = { Origin: 'https://evil.example', 'Access-Control-Request-Method': 'POST' }
    const { status, headers } = await call('/api/replay', { method: 'OPTIONS', headers: preflight })
    expect(status).toBe(405)
    expect(Object.keys(headers).filter((name) => name.startsWith('access-control'))).toEqual([])
  })
})

describe('a question that cannot be answered', () => {
  test.each([
    ['rows', '{', 400],
    ['rows', '[]', 400],
    ['rows', 'null', 400],
    ['rows', '{"search":1}', 400],
    ['rows', '{"unmask":"yes"}', 400],
    ['rows', '{"state":"gone"}', 400],
    ['rows', '{"before":"nothing"}', 404],
    ['rows', JSON.stringify({ search: 'x'.repeat(17_000) }), 413],
    ['entry', '{}', 400],
    ['entry', '{"id":"nothing"}', 404],
    ['replay', '{}', 400],
    ['replay', '{"id":"nothing"}', 404],
    ['erase', '{}', 404],
    ['constructor', '{}', 404],
  ])('%s %p is answered with %i', async (name, body, status) => {
    const { call } = await start()
    const reply = await call(`/api/${name}`, { method: 'POST', headers: asPage, body })
    expect([reply.status, reply.headers['content-type']]).toEqual([status, 'application/problem+json'])
    expect(problemOf(reply).status).toBe(status)
  })

  test('the replay of a done delivery is answered with 409', async () => {
    const { inbox, post } = await start()
    const [row] = await inbox.list({ state: 'done' })
    const reply = await post('replay', { id: row?.id })
    expect(problemOf(reply)).toMatchObject({ status: 409, code: 'ERR_CONVERSION_REPLAY_IMPOSSIBLE' })
  })

  test('a failing inbox is answered with 503, without the error', async () => {
    const fail = () => Promise.reject(new Error('S3CRET'))
    const failing = { ...memoryInbox(), list: fail, get: fail, stats: fail, replay: fail }
    const inspector = conversionInspector(failing, { authorize: () => true })
    const { port } = await listen((req, res) => inspector(req, res))
    for (const name of ['overview', 'rows', 'entry', 'replay']) {
      const reply = await send(port, `/api/${name}`, { method: 'POST', headers: asPage, body: '{"id":"x"}' })
      expect(reply.status).toBe(503)
      expect(reply.body).not.toContain('S3CRET')
    }
  })
})

test('a request that other code answers before authorize does is left alone', async () => {
  const inspector = conversionInspector(memoryInbox(), {
    authorize: () => new Promise((resolve) => setImmediate(resolve, true)),
  })
  const { port } = await listen((req, res) => {
    inspector(req, res)
    res.writeHead(503).end('too slow')
  })
  expect(await send(port, '/')).toMatchObject({ status: 503, body: 'too slow' })
  expect(await send(port, '/page.js')).toMatchObject({ status: 503, body: 'too slow' })
})

test('a question that a body parser has read is answered', async () => {
  const app = express()
    .use(express.json())
    .use('/admin', conversionInspector(memoryInbox(), { authorize: () => true }))
  const { port } = await listen(app as RequestListener)
  const body = '{"search":"A"}'
  const { status } = await send(port, '/admin/api/rows', { method: 'POST', headers: asPage, body })
  expect(status).toBe(200)
})

test('after a question that breaks off the next request is answered', async () => {
  const { port, call } = await start()
  await new Promise<void>((resolve) => {
    const asking = request({
      port,
      path: '/admin/api/rows',
      method: 'POST',
      headers: { ...asPage, 'Content-Length': 100 },
    })
    asking.on('error', () => {
      resolve()
    })
    asking.write('{', () => asking.destroy(new Error('gone')))
  })
  expect((await call('/')).status).toBe(200)
})

describe('in an answer', () => {
  test('rows are masked unless unmask is true', async () => {
    const { ask } = await start()
    const { rows, hasMore } = await ask<Rows>('rows', { search: 'DONE', state: 'done' })
    expect(hasMore).toBe(false)
    expect(rows).toEqual([
      expect.objectContaining({
        kind: 'delivery',
        state: 'done',
        event: 'success',
        scope: 'spring',
        orderId: 'DONE',
        attempts: 1,
        referrer: ['R•••', 'r•••@e•••.com'],
        referee: ['C•••', 'e•••@g•••.com'],
      }),
    ])
    const { rows: open } = await ask<Rows>('rows', { search: 'DONE', state: 'done', unmask: true })
    expect(open[0]?.referrer).toEqual(['Robert', 'robert@example.com'])
  })

  test('no masked value appears in another place', async () => {
    const { ask, inbox } = await start()
    const answers: unknown[] = [await ask('overview'), await ask('rows')]
    for (const { id } of await inbox.list()) answers.push(await ask('entry', { id }))
    expect(JSON.stringify(answers)).not.toMatch(/robert|downy|cristian|example@|odd@|a friend|xxxxxxx/i)
  })

  test.each(['constructor', '__proto__', 'toString', 'valueOf', 'eva@example.com', 'Referrer_Name'])(
    'the value of an unknown parameter named %s is masked, and so is an address in its name',
    async (name) => {
      const { ask, inbox, report } = await start()
      await report('STRANGE', Object.fromEntries([[name, 'Evelyn']]))
      const [row] = await inbox.list({ orderId: 'STRANGE' })
      const { params: shown } = await ask<EntryView>('entry', { id: row?.id })
      expect(shown.slice(10)).toEqual([[name.replace('eva@example.com', 'e•••@e•••.com'), 'E•••']])
    },
  )

  test('a row has the time until which confirm holds it', async () => {
    const { inbox } = await start()
    const [row] = await inbox.list({ limit: 1 })
    if (row === undefined) throw new Error('no row')
    expect(rowView(row, false).heldUntil).toBeUndefined()
    const heldUntil = '2026-12-24T00:00:00.000Z'
    expect(rowView({ ...row, heldUntil: new Date(heldUntil) }, false)).toMatchObject({ heldUntil })
  })

  test('an entry has everything that is recorded', async () => {
    const { ask, inbox } = await start()
    const [failed] = await inbox.list({ state: 'waiting' })
    const entry = await ask<EntryView>('entry', { id: failed?.id })
    expect(entry).toMatchObject({
      state: 'waiting',
      canReplay: true,
      startedAt: failed?.startedAt?.toISOString(),
      lastError: { code: 'ERR_CONVERSION_HANDLER_FAILED', message: 'no account of r•••@e•••.com' },
    })
    expect(entry.startedAt).toMatch(/Z$/)
    expect(entry.params.map(([name]) => name)).toEqual(Object.keys(sample))
    expect(entry.history.map(({ what }) => what)).toEqual(['recorded', 'failed'])
    const [refused] = await inbox.list({ state: 'refused' })
    const odd = await ask<EntryView>('entry', { id: refused?.id })
    expect(odd).toMatchObject({ kind: 'refused', canReplay: true, code: 'ERR_CONVERSION_CALLBACK_REFUSED' })
    expect(odd.issues).toEqual([expect.stringMatching(/^purchaseValue must be a plain decimal/)])
    const [done] = await inbox.list({ state: 'done' })
    expect(await ask('entry', { id: done?.id, unmask: true })).toMatchObject({ canReplay: false, repairs: [] })
  })

  test('an entry has the repairs', async () => {
    const { ask, inbox, report } = await start()
    await report('PLUS', { referee_email: 'eva plus@example.com' })
    const [row] = await inbox.list({ orderId: 'PLUS' })
    expect(await ask('entry', { id: row?.id })).toMatchObject({
      repairs: [{ parameter: 'referee_email', kind: 'plus' }],
    })
  })

  test('a search finds order ids and addresses, and a row that matches as both only once', async () => {
    const { ask, report } = await start()
    await report('eva@example.com', { referee_email: 'eva@example.com' })
    const found = async (search: string) =>
      (await ask<Rows>('rows', { search, unmask: true })).rows.map(({ orderId }) => orderId)
    expect(await found(' DONE ')).toEqual(['DONE', 'DONE'])
    expect(await found('eva@example.com')).toEqual(['eva@example.com'])
    expect(await found('ROBERT@example.com')).toEqual(['DONE'])
    expect(await found('nobody@example.com')).toEqual([])
    expect((await ask<Rows>('rows', { scope: 'autumn' })).rows).toEqual([])
    expect((await ask<Rows>('rows', { state: 'conflict' })).rows).toHaveLength(1)
  })

  test('pages follow each other without a gap or a repeat', async () => {
    const { ask, report } = await start()
    for (let number = 0; number < 120; number++) await report(`N-${String(number)}`)
    const seen: string[] = []
    for (let before: string | undefined, hasMore = true; hasMore;) {
      const page: Rows = await ask<Rows>('rows', { ...(before && { before }) })
      expect(page.rows).toHaveLength(page.hasMore ? 50 : 24)
      seen.push(...page.rows.map(({ id }) => id))
      before = seen.at(-1)
      hasMore = page.hasMore
    }
    expect([seen.length, new Set(seen).size]).toEqual([124, 124])
  })

  test('the overview counts today each time and caches past days', async () => {
    const { ask, report } = await start()
    const today = async () => (await ask<Overview>('overview')).perDay.map(({ success }) => success)
    const before = await today()
    expect([before.length, before.at(-1)]).toEqual([30, 2])
    await report('NEW')
    expect((await today()).at(-1)).toBe(3)
  })

  test('the overview counts all days again after midnight', async () => {
    const days = ['2026-01-01', '2026-01-01', '2026-01-02', '2026-01-02']
    const asked: unknown[] = []
    const overviews = new Overviews({
      ...memoryInbox(),
      stats(query) {
        asked.push(query?.days)
        const perDay = [{ day: days.shift() ?? '', success: asked.length, fail: 0, pending: 0 }]
        return Promise.resolve({ callbacks: {}, deliveries: {}, oldestWaitingMs: 0, perDay } as unknown as InboxStats)
      },
    })
    const today = async () => (await overviews.get()).perDay.at(-1)
    expect(await today()).toMatchObject({ day: '2026-01-01', success: 1 })
    expect(await today()).toMatchObject({ day: '2026-01-01', success: 2 })
    expect(await today()).toMatchObject({ day: '2026-01-02', success: 4 })
    expect(asked).toEqual([30, 1, 1, 30])
  })

  test('a person may have a name or an address only', async () => {
    const { ask, report } = await start()
    await report('PARTS', { referrer_email: undefined, referrer_name: 'Eva', referee_name: undefined })
    const { rows } = await ask<Rows>('rows', { search: 'PARTS' })
    expect(rows).toMatchObject([{ referrer: ['E•••'], referee: [expect.stringMatching('@') as string] }])
  })

  test('a replay marks the delivery', async () => {
    const { ask, inbox, told, mend } = await start()
    mend()
    const [failed] = await inbox.list({ state: 'waiting' })
    expect(await ask('replay', { id: failed?.id })).toEqual({})
    while ((await inbox.stats()).deliveries.done < 2) await new Promise(setImmediate)
    expect(told).toEqual(['DONE', 'DEAD'])
  })
})
