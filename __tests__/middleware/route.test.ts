import express from 'express'
import express4 from 'express4'
import type { RequestListener } from 'node:http'
import { conversionWebhook, type ConversionWebhook } from '../../lib/index.js'
import { query, secret } from '../support/callbacks.js'
import { send, type Reply } from '../support/client.js'
import { recorder } from '../support/recorder.js'
import { closeServers, frameworks, listen } from '../support/servers.js'

/* Which requests are ours, and that all others cannot tell that we are there. */

const { 'node:http': _bare, ...mounting } = frameworks
const methods = ['GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'DELETE', 'PATCH']

afterEach(closeServers)

/** Everything of an answer but the date, with the path that it names. */
function withoutPath({ status, headers: { date, ...headers }, body }: Reply, path: string) {
  return { status, headers, body: body.replaceAll(path, '<path>') }
}

describe.each(Object.entries(mounting))('a mount by app.use under %s', (_name, mount) => {
  async function start(options = {}) {
    const { handlers, told } = recorder()
    const { port } = await listen(mount('/webhook', conversionWebhook(handlers, { secret: false, ...options })))
    return { told, get: (path: string) => send(port, path), call: send.bind(undefined, port) }
  }

  test('is its exact path, with and without a trailing slash', async () => {
    const { get, told } = await start()
    expect((await get(`/webhook${query()}`)).body).toBe('{"outcome":"accepted"}')
    expect((await get(`/webhook/${query()}`)).body).toBe('{"outcome":"duplicate"}')
    expect(told.map(({ event }) => event)).toEqual(['success', 'goalComplete'])
  })

  test('is not a deeper path', async () => {
    const { get, told } = await start()
    for (const path of ['/webhook/deeper', '/webhook/deeper/', '/webhook/a/b', '/webhookx', '/']) {
      expect((await get(path + query())).status).toBe(404)
    }
    expect(told).toEqual([])
  })

  test('is also its path plus a right secret, encoded or not, with and without a trailing slash', async () => {
    const odd = 'secret of the ünïcøde/kind'
    const { get } = await start({ secret: [secret, odd] })
    expect((await get(`/webhook/${secret}${query()}`)).body).toBe('{"outcome":"accepted"}')
    expect((await get(`/webhook/${secret}/${query()}`)).body).toBe('{"outcome":"duplicate"}')
    expect((await get(`/webhook/${encodeURIComponent(odd)}${query()}`)).body).toBe('{"outcome":"duplicate"}')
  })

  test('takes a path secret only as the one segment behind the mount', async () => {
    const { get, told } = await start({ secret })
    for (const path of [`/webhook/a/${secret}`, `/webhook/${secret}/a`, `/${secret}`]) {
      expect((await get(path + query())).status).toBe(404)
    }
    expect(told).toEqual([])
  })

  test.each(methods)('answers %s with a wrong path secret byte for byte like an unknown path', async (method) => {
    const { call, told } = await start({ secret })
    const [guess, unknown] = [`/webhook/${secret}x`, `/nothing/${secret}x`] as const
    const sent = { method, headers: { 'X-Webhook-Secret': 'wrong', 'Sec-Purpose': 'prefetch' } }
    const [ours, theirs] = [await call(guess + query(), sent), await call(unknown + query(), sent)]
    expect(ours.status).toBe(404)
    expect(withoutPath(ours, guess)).toEqual(withoutPath(theirs, unknown))
    expect(told).toEqual([])
  })

  test('lets a wrong path secret pass even where another credential is right', async () => {
    const { call } = await start({ secret })
    const reply = await call(`/webhook/wrong-secret-of-length${query()}`, { headers: { 'X-Webhook-Secret': secret } })
    expect(reply.status).toBe(404)
  })

  test('understands the absolute form of a request target', async () => {
    const { get } = await start({ secret })
    const reply = await get(`http://shop.example/webhook/${secret}${query()}`)
    expect(reply.body).toBe('{"outcome":"accepted"}')
    expect((await get(`http://shop.example/webhook/wrong${query()}`)).status).toBe(404)
  })
})

/** Both versions route alike; their types differ, and the tests use what is common. */
const apps = { 'Express 5': express, 'Express 4': express4 as unknown as typeof express }

describe.each(Object.entries(apps))('a route of %s', (_name, framework) => {
  type Build = (app: ReturnType<typeof express>, webhook: ConversionWebhook) => unknown

  async function start(build: Build, options = {}) {
    const { handlers, told } = recorder()
    const webhook = conversionWebhook(handlers, { secret: false, ...options })
    const app = framework()
    build(app, webhook)
    const { port } = await listen(app as RequestListener)
    return { told, call: send.bind(undefined, port), get: (path: string) => send(port, path) }
  }

  test.each<[string, string, Build]>([
    ['app.get', 'GET', (app, webhook) => app.get('/hooks/conversion', webhook)],
    ['app.all', 'PUT', (app, webhook) => app.all('/hooks/conversion', webhook)],
    ['app.route', 'POST', (app, webhook) => app.route('/hooks/conversion').post(webhook)],
    [
      'router.post, behind another handler',
      'POST',
      (app, webhook) =>
        app.use(
          '/hooks',
          framework.Router().post('/conversion', (_req, _res, next) => next(), webhook),
        ),
    ],
  ])('by %s is ours whole', async (_how, method, build) => {
    const { call, told } = await start(build)
    const reply = await call(`/hooks/conversion${query()}`, { method })
    expect(reply.body).toBe('{"outcome":"accepted"}')
    expect(told[0]?.conversion).toMatchObject({ orderId: 'ASDXXXXX', scope: '' })
  })

  test('takes its secret from the parameter of that name, and the scope from the others', async () => {
    const { call, get, told } = await start((app, webhook) => app.all('/hooks/:campaign/:secret/:Shop', webhook), {
      secret,
    })
    expect((await get(`/hooks/Summer%2F1/${secret}/de${query()}`)).status).toBe(200)
    expect(told[0]?.conversion.scope).toBe('Summer%2F1/de')
    for (const method of methods) {
      const [guess, unknown] = [`/hooks/Summer/${secret}x/de`, `/other/Summer/${secret}x/de`] as const
      const [ours, theirs] = [await call(guess + query(), { method }), await call(unknown + query(), { method })]
      expect(withoutPath(ours, guess)).toEqual(withoutPath(theirs, unknown))
    }
    expect(told).toHaveLength(2)
  })

  test('a mount with a route parameter has a scope for each of its values', async () => {
    const { get, told } = await start((app, webhook) => app.use('/webhook/:campaign', webhook), { secret })
    for (const campaign of ['summer', 'Summer', 'winter']) {
      expect((await get(`/webhook/${campaign}/${secret}${query()}`)).body).toBe('{"outcome":"accepted"}')
    }
    expect((await get(`/webhook/summer/${secret}${query()}`)).body).toBe('{"outcome":"duplicate"}')
    expect(told.map(({ conversion }) => conversion.scope)).toEqual([
      'summer',
      'summer',
      'Summer',
      'Summer',
      'winter',
      'winter',
    ])
  })

  test('moving a mount does not make old orders new', async () => {
    const { get } = await start((app, webhook) => app.use('/old', webhook).use('/new', webhook))
    expect((await get(`/old${query()}`)).body).toBe('{"outcome":"accepted"}')
    expect((await get(`/new${query()}`)).body).toBe('{"outcome":"duplicate"}')
  })

  test('works in nested routers', async () => {
    const { get, told } = await start(
      (app, webhook) => {
        const inner = framework.Router({ mergeParams: true }).use('/in', webhook)
        app.use('/a/:campaign', framework.Router({ mergeParams: true }).use('/b', inner))
      },
      { secret },
    )
    expect((await get(`/a/summer/b/in/${secret}${query()}`)).body).toBe('{"outcome":"accepted"}')
    expect(told[0]?.conversion.scope).toBe('summer')
    expect((await get(`/a/summer/b/${secret}${query()}`)).status).toBe(404)
  })

  test('the route that another middleware matched before changes nothing', async () => {
    const { get, told } = await start((app, webhook) => {
      app.all(/.*/, (req, _res, next) => {
        expect(req.route).toBeDefined()
        next()
      })
      app.use('/webhook', webhook)
    })
    expect((await get(`/webhook/deeper${query()}`)).status).toBe(404)
    expect(told).toEqual([])
    expect((await get(`/webhook${query()}`)).body).toBe('{"outcome":"accepted"}')
  })

  test('a route that declined a wrong secret says nothing of a later mount of the same webhook', async () => {
    const { call, told } = await start(
      (app, webhook) => app.all('/webhook/:secret', webhook).use('/webhook', webhook),
      { secret },
    )
    const right = { headers: { 'X-Webhook-Secret': secret } }
    for (const sent of [{}, right]) expect((await call(`/webhook/not-the-secret${query()}`, sent)).status).toBe(404)
    expect(told).toEqual([])
    expect((await call(`/webhook/${secret}${query()}`)).body).toBe('{"outcome":"accepted"}')
    expect((await call(`/webhook${query()}`, right)).body).toBe('{"outcome":"duplicate"}')
  })

  test('the app goes on behind a path that is not ours', async () => {
    const { get } = await start(
      (app, webhook) =>
        app.use('/webhook', webhook).use((req, res) => res.json({ url: req.url, originalUrl: req.originalUrl })),
      { secret },
    )
    const url = `/webhook/not-the-secret${query()}`
    expect(JSON.parse((await get(url)).body)).toEqual({ url, originalUrl: url })
  })
})

describe('a bare node:http server', () => {
  async function start(options = {}) {
    const { handlers, told } = recorder()
    const webhook = conversionWebhook(handlers, { secret, ...options })
    const { port } = await listen((req, res) => {
      webhook(req, res)
    })
    return { told, call: send.bind(undefined, port) }
  }

  test('has the webhook at every path when nothing but the server protects it', async () => {
    const { call } = await start({ secret: false })
    expect((await call(`/${query()}`)).body).toBe('{"outcome":"accepted"}')
    expect((await call(`/any/path/at/all/${query()}`)).body).toBe('{"outcome":"duplicate"}')
  })

  test('has it at every path whose last segment is the secret, or with the secret elsewhere', async () => {
    const { call } = await start()
    expect((await call(`/${secret}${query()}`)).body).toBe('{"outcome":"accepted"}')
    expect((await call(`/a/b/${secret}/${query()}`)).body).toBe('{"outcome":"duplicate"}')
    expect((await call(`http://shop.example/a/${secret}${query()}`)).body).toBe('{"outcome":"duplicate"}')
    const headers = { 'X-Webhook-Secret': secret }
    expect((await call(`/webhook${query()}`, { headers })).body).toBe('{"outcome":"duplicate"}')
  })

  test.each(methods)('answers %s with a wrong path secret like any other unknown path: 404', async (method) => {
    const { call, told } = await start()
    const guess = await call(`/webhook/${secret}x${query()}`, { method })
    const unknown = await call('/favicon.ico', { method })
    expect(guess.status).toBe(404)
    expect(withoutPath(guess, '')).toEqual(withoutPath(unknown, ''))
    if (method !== 'HEAD') expect(JSON.parse(guess.body)).toMatchObject({ code: 'ERR_CONVERSION_PATH_UNKNOWN' })
    expect(told).toEqual([])
  })

  test('knows no path with the secret in the middle', async () => {
    const { call, told } = await start()
    expect((await call(`/${secret}/a${query()}`)).status).toBe(404)
    expect(told).toEqual([])
  })
})
