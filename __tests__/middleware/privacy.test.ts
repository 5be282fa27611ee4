import connect from 'connect'
import createDebug from 'debug'
import express from 'express'
import express4 from 'express4'
import morgan from 'morgan'
import type { RequestListener } from 'node:http'
import { AsyncLocalStorage } from 'node:async_hooks'
import { connect as connectTo } from 'node:net'
import { formatWithOptions } from 'node:util'
import { conversionWebhook, redactUrl, type WebhookRequest } from '../../lib/index.js'
import { params, query, secret } from '../support/callbacks.js'
import { deferred } from '../support/recorder.js'
import { form, json, send, type Reply, type Sent } from '../support/client.js'
import { closeServers, frameworks, listen, type Middleware } from '../support/servers.js'

/* Nothing that was sent, and no secret, gets into debug lines, access logs, answers or errors. */

const wrong = 'wrong-but-personal-secret'

/** Every value is one of a kind, so that it can be looked for. */
const personal = {
  referrer_name: 'Rosalind Referrer',
  referrer_email: 'rosalind@private.example',
  referee_name: 'Ferdinand Referee',
  referee_email: 'ferdinand@private.example',
  orderID: 'ORDER-4711',
  purchaseValue: '8642.17',
  referrer_converts: '97531',
  referrer_customValue: 'custom-value-0815',
}
const traces = [secret, wrong, ...Object.values(personal), 'utm-of-somebody', 'private.example', 'stock-of-4711']

function expectNoTrace(texts: readonly string[]): void {
  expect(texts.length).toBeGreaterThan(0)
  for (const text of texts) {
    for (const trace of traces) {
      expect(text).not.toContain(trace)
      expect(text).not.toContain(encodeURIComponent(trace))
      expect(text).not.toContain(String(new URLSearchParams([['', trace]])).slice(1))
    }
  }
}

const search = (changes = {}) => query({ ...personal, ...changes })
const header = { 'X-Webhook-Secret': secret }
const basic = { Authorization: `Basic ${Buffer.from(`callbacks:${secret}`).toString('base64')}` }

/** Requests of every outcome, in order: the status that each is answered with. */
const requests: readonly [string, number, string, Sent?][] = [
  ['a failing handler', 500, `/webhook/${secret}${search()}`],
  ['accepted', 200, `/webhook/${secret}${search()}`],
  ['a duplicate by token', 200, `/webhook${search()}&token=${secret}&utm=utm-of-somebody`],
  [
    'a duplicate in a body',
    200,
    '/webhook/',
    { ...form(search().slice(1)), headers: { ...form('').headers, ...basic } },
  ],
  ['stale', 200, `/webhook${search({ conversion: 'pending' })}`, { headers: header }],
  ['a conflict', 409, `/webhook/${secret}/${search({ purchaseValue: '8642.18' })}`],
  ['refused', 422, `/webhook/${secret}${search({ conversion: 'ORDER-4711', purchaseValue: '8642.17 EUR' })}`],
  ['refused JSON', 422, `/webhook/${secret}`, json({ ...params(personal), orderID: { is: 'ORDER-4711' } })],
  ['unreadable', 400, `/webhook/${secret}${search()}&referrer_email=%zz&orderID=ORDER-4711b`],
  ['no JSON', 400, `/webhook/${secret}`, json('{"referrer_email":"rosalind@private.example"')],
  ['no credential', 401, `/webhook${search()}`],
  ['a wrong token', 401, `/webhook${search()}&token=${wrong}`],
  ['a wrong header', 401, `/webhook${search()}`, { headers: { Authorization: `Bearer ${wrong}` } }],
  ['a prefetch', 403, `/webhook/${secret}${search()}`, { headers: { Purpose: 'prefetch' } }],
  ['another method', 405, `/webhook/${secret}${search()}`, { method: 'DELETE' }],
  ['HEAD', 204, `/webhook/${secret}${search()}`, { method: 'HEAD' }],
  ['a visit', 204, `/webhook/${secret}?utm=utm-of-somebody`],
  ['another type', 415, `/webhook/${secret}${search()}`, form(search(), 'text/rosalind@private.example')],
]

const failOnce = (_conversion: unknown, { attempt }: { attempt: number }): void => {
  if (attempt === 1) throw new Error('stock-of-4711 of rosalind@private.example')
}

type Log = Parameters<typeof morgan>[1]

/** Frameworks with an access log in front, which morgan writes at the end of each request. */
const logging: Readonly<Record<string, (log: Log, webhook: Middleware) => RequestListener>> = {
  'Express 5': (log, webhook) => express().use(morgan('combined', log)).use('/webhook', webhook) as RequestListener,
  'Express 4': (log, webhook) => express4().use(morgan('combined', log)).use('/webhook', webhook) as RequestListener,
  'Connect 3': (log, webhook) => connect().use(morgan('combined', log)).use('/webhook', webhook),
}

afterEach(closeServers)

describe.each(Object.entries(logging))('under %s', (_name, mount) => {
  test('neither access log nor debug lines nor answers say anything of a request', async () => {
    const debugLines: string[] = []
    createDebug.enable('conversion-webhook:*')
    const log = jest
      .spyOn(createDebug, 'log')
      .mockImplementation((...args: unknown[]) => debugLines.push(formatWithOptions({ depth: 9 }, ...args)))
    const accessLines: string[] = []
    const stream = { write: (line: string) => accessLines.push(line) }
    try {
      const webhook = conversionWebhook({ onSuccess: failOnce, onError: () => undefined }, { secret })
      const { port } = await listen(mount({ stream, immediate: false }, webhook))
      const replies: Reply[] = []
      for (const [, , url, sent] of requests) replies.push(await send(port, url, sent))
      expect(replies.map(({ status }, index) => [requests[index]?.[0], status])).toEqual(
        requests.map(([what, status]) => [what, status]),
      )
      expectNoTrace(replies.map(({ headers, body }) => JSON.stringify([headers, body])))
    } finally {
      createDebug.disable()
      log.mockRestore()
    }
    expect(accessLines).toHaveLength(requests.length)
    expectNoTrace(accessLines)
    expect(accessLines[1]).toContain('"GET /webhook/[redacted] HTTP/1.1" 200')
    expect(accessLines[2]).toContain('"GET /webhook HTTP/1.1" 200')
    expect(debugLines.length).toBeGreaterThan(requests.length)
    expectNoTrace(debugLines)
  })
})

test('what the app calls for a callback finds no secret and no address in the URL of its request', async () => {
  const requests = new AsyncLocalStorage<WebhookRequest>() // as loggers and tracers keep the request
  const seen: Record<string, unknown> = {}
  const see = (where: string): void => {
    const { url, originalUrl } = (requests.getStore() ?? {}) as { url?: string; originalUrl?: string }
    seen[where] = { url, originalUrl }
  }
  const webhook = conversionWebhook(
    {
      onSuccess: () => {
        see('handler')
        throw new Error('stock-of-4711')
      },
      onError: ({ stage }) => {
        see(`onError ${stage}`)
      },
      onRefused: () => {
        see('onRefused')
      },
    },
    {
      secret,
      parseCustomValue: (text) => {
        see('parseCustomValue')
        return text
      },
      confirm: () => {
        see('confirm')
        return true
      },
    },
  )
  const app = express().use((req, _res, next) => {
    requests.run(req, next)
  })
  const { port } = await listen(app.use('/webhook', webhook) as RequestListener)
  await send(port, `/webhook/${secret}${search()}`)
  await send(port, `/webhook/${secret}${search({ purchaseValue: 'none' })}`)
  const scrubbed = { url: '/[redacted]', originalUrl: '/webhook/[redacted]' }
  expect(seen).toEqual({
    parseCustomValue: scrubbed,
    confirm: scrubbed,
    handler: scrubbed,
    'onError handler': scrubbed,
    onRefused: scrubbed,
  })
})

test('errors that are handed on say nothing of a request, but in their cause', async () => {
  const errors: Error[] = []
  const options = { secret, respond: false }
  const webhook = conversionWebhook({ onSuccess: failOnce, onError: () => undefined }, options)
  const { port } = await listen((req, res) => {
    req.url = (req.url ?? '').replace('/webhook', '') || '/'
    webhook(req, res, (error) => {
      if (error instanceof Error) errors.push(error)
      res.end()
    })
  })
  for (const [, , url, sent] of requests) await send(port, url, sent)
  expect(errors.length).toBeGreaterThan(8)
  for (const error of errors) Reflect.deleteProperty(error, 'cause')
  expectNoTrace(errors.map((error) => formatWithOptions({ depth: 9, showHidden: true }, error)))
})

test('rejections of accept say nothing of the callback, but in their cause', async () => {
  const webhook = conversionWebhook({ onSuccess: failOnce, onError: () => undefined }, { secret })
  const error: unknown = await webhook.accept(search()).catch((rejection: unknown) => rejection)
  expect(error).toBeInstanceOf(Error)
  const { message, stack = '' } = error as Error
  expectNoTrace([message, stack])
})

describe.each(Object.entries(logging))('a client that hangs up before the answer, under %s', (_name, mount) => {
  test.each([
    ['while a handler runs', `/webhook/${secret}${search()}`, 'GET', ''],
    ['in the middle of its body', `/webhook/${secret}${search()}`, 'POST', 'orderID=ORDER'],
    ['with its token in the query', `/webhook${search()}&token=${secret}`, 'GET', ''],
  ])('leaves nothing in the access log, %s', async (_when, url, method, body) => {
    const { promise: line, resolve: write } = deferred<string>()
    const { promise: received, resolve: receive } = deferred()
    const { promise: end, resolve: finish } = deferred()
    const onSuccess = () => {
      receive()
      return end
    }
    const webhook = conversionWebhook({ onSuccess, onGoalComplete: () => undefined }, { secret })
    const listener = mount({ stream: { write }, immediate: false }, webhook)
    const { port } = await listen((req, res) => {
      listener(req, res)
      if (method === 'POST') receive()
    })
    const socket = connectTo(port, '127.0.0.1')
    const type = 'Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 999\r\n'
    socket.write(`${method} ${url} HTTP/1.1\r\nHost: shop.example\r\n${method === 'POST' ? type : ''}\r\n${body}`)
    await received
    socket.destroy()
    expectNoTrace([await line])
    finish()
  })
})

test('a mount that holds the secret leaves it in no URL', async () => {
  const urls: unknown[] = []
  const webhook = conversionWebhook({}, { secret })
  const app = express()
    .use('/hooks/:secret', (req, res, next) => {
      res.on('finish', () => urls.push(req.url, req.originalUrl, req.baseUrl))
      next()
    })
    .use('/hooks/:secret', webhook)
  const { port } = await listen(app as RequestListener)
  expect((await send(port, `/hooks/${secret}${search()}`)).status).toBe(200)
  expect(urls).toEqual(['/', '/hooks/[redacted]', '/hooks/[redacted]'])
})

test.each(['/hooks/cb-:secret', '/hooks/:secret.json'])('a mount at %s leaves the secret in no URL', async (path) => {
  for (const framework of ['Express 5', 'Express 4']) {
    const app = frameworks[framework]?.(path, conversionWebhook({}, { secret }))
    const urls: unknown[] = []
    const { port } = await listen((req: WebhookRequest, res) => {
      res.on('finish', () => urls.push(req.originalUrl, req.baseUrl))
      app?.(req, res)
    })
    expect((await send(port, `${path.replace(':secret', secret.replace('-', '%2D'))}${search()}`)).status).toBe(200)
    expect(urls).toEqual(['/hooks/[redacted]', '/hooks/[redacted]'])
  }
})

test('a bare server has nothing to hand on to: its URLs are scrubbed at once, whatever respond says', async () => {
  const { promise: url, resolve: close } = deferred<string | undefined>()
  const { promise: received, resolve: receive } = deferred()
  const webhook = conversionWebhook({}, { secret, respond: false })
  const { port } = await listen((req, res) => {
    res.on('close', () => {
      close(req.url)
    })
    webhook(req, res)
    receive()
  })
  const socket = connectTo(port, '127.0.0.1')
  const type = 'Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 999\r\n'
  socket.write(`POST /webhook/${secret}${search()} HTTP/1.1\r\nHost: shop.example\r\n${type}\r\norderID=ORDER`)
  await received
  socket.destroy()
  expect(await url).toBe('/webhook/[redacted]')
})

describe('scrubUrl', () => {
  /** What a request's URLs are once it was answered. */
  async function urlsAfter(url: string, options: object) {
    const seen: unknown[] = []
    const webhook = conversionWebhook({}, { secret, ...options })
    const app = express()
      .use((req, res, next) => {
        res.on('finish', () => seen.push({ url: req.url, originalUrl: req.originalUrl }))
        next()
      })
      .use('/webhook', webhook)
      .use('/hooks/:secret/conversion', webhook)
      .use((_req, res) => res.send('the app answers'))
    const { port } = await listen(app as RequestListener)
    await send(port, url)
    return seen
  }

  const original = `/webhook/${secret}${search()}`
  const foreign = `/webhook/${wrong}${search()}`

  test('takes query and path secret when we answer', async () => {
    expect(await urlsAfter(original, {})).toEqual([{ url: '/[redacted]', originalUrl: '/webhook/[redacted]' }])
    const encoded = original.replace('-', '%2D')
    expect(await urlsAfter(encoded, {})).toEqual([{ url: '/[redacted]', originalUrl: '/webhook/[redacted]' }])
    expect(await urlsAfter(`/hooks/${secret}/conversion${search()}`, {})).toEqual([
      { url: '/', originalUrl: '/hooks/[redacted]/conversion' },
    ])
  })

  test('false leaves the URLs untouched', async () => {
    const untouched = [{ url: `/${secret}${search()}`, originalUrl: original }]
    expect(await urlsAfter(original, { scrubUrl: false })).toEqual(untouched)
  })

  test('next() leaves the URLs untouched', async () => {
    expect(await urlsAfter(foreign, {})).toEqual([{ url: foreign, originalUrl: foreign }])
    expect(await urlsAfter(original, { respond: false })).toEqual([{ url: original, originalUrl: original }])
  })
})

describe('redactUrl', () => {
  test.each([
    [`/webhook/${secret}${search()}`, '/webhook/[redacted]'],
    [`/webhook${search()}&token=${secret}`, '/webhook'],
    [`/webhook/${secret}/`, '/webhook/[redacted]/'],
    [`/webhook/${encodeURIComponent('geheimnis-mit-ü')}`, '/webhook/geheimnis-mit-%C3%BC'],
    [`/webhook/${encodeURIComponent('geheimnisse-mit-ü')}`, '/webhook/[redacted]'],
    ['/webhook/%zz-is-no-escape', '/webhook/[redacted]'],
    [`https://callbacks:${secret}@shop.example/webhook/${secret}?a=1#b`, 'https://shop.example/webhook/[redacted]'],
    ['/webhook#fragment-of-somebody', '/webhook'],
    ['/', '/'],
    ['', ''],
  ])('of %s is %s', (url, expected) => {
    expect(redactUrl(url)).toBe(expected)
  })
})
