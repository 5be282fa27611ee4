import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import express, { type Express } from 'express'
import type { RequestListener } from 'node:http'
import { conversionWebhook, type ConversionWebhook } from '../../lib/index.js'
import { cli } from '../support/cli.js'
import { certificateFile, closeServers, listen, listenSecurely } from '../support/servers.js'

/* What `doctor` finds on a correctly deployed webhook, and on webhooks behind faulty proxies, caches and firewalls. */

const secret = 'a-secret-of-the-tests'
afterEach(closeServers)

interface Report {
  readonly exitCode: number
  readonly found: readonly string[]
  readonly whats: string
}

async function examine(url: string, ...argv: string[]): Promise<Report> {
  const { out, err, exitCode } = await cli(['doctor', url, '--json', ...argv])
  expect(err).toBe('')
  const { findings } = JSON.parse(out) as { findings: { check: string; what: string; fix: string }[] }
  for (const { what, fix } of findings) expect([what.length > 20, fix.length > 20]).toEqual([true, true])
  return { exitCode, found: findings.map(({ check }) => check), whats: findings.map(({ what }) => what).join('\n') }
}

/** An app with the webhook, or with other middleware in front of it or instead of it. */
async function start(
  before: (app: Express) => unknown = () => undefined,
  options: object = { secret },
  listenAs: typeof listen = listen,
) {
  const told: unknown[] = []
  const tell = (conversion: unknown) => void told.push(conversion)
  const observers = { onRefused: tell, onConflict: tell, onError: () => undefined }
  const webhook: ConversionWebhook = conversionWebhook({ onSuccess: tell, ...observers }, options)
  const app = express()
  before(app)
  app.use('/webhook', webhook)
  const { url } = await listenAs(app as RequestListener)
  /** Fails if a handler or observer was called. */
  const expectUntouched = async () => {
    expect(told).toEqual([])
    expect(Object.values((await webhook.inbox.stats()).callbacks)).toEqual([0, 0, 0, 0, 0])
  }
  return { url: `${url}/webhook/${secret}`, base: `${url}/webhook`, expectUntouched }
}

describe('on a correctly deployed webhook every check passes, and no handler runs', () => {
  test.each([
    ['the path', `/${secret}`, []],
    ['the query', `?token=${secret}`, []],
    ['Basic', '', ['--user', `me:${secret}`]],
    ['a header', '', ['--header', `X-Webhook-Secret: ${secret}`]],
  ])('with its secret in %s', async (_place, more, argv) => {
    const { base, expectUntouched } = await start()
    expect(await examine(base + more, ...argv)).toEqual({ exitCode: 0, found: [], whats: '' })
    await expectUntouched()
  })

  test('behind a body parser whose limit is high enough', async () => {
    const { url, expectUntouched } = await start((app) => app.use(express.json({ limit: '64kb' })))
    expect((await examine(url)).found).toEqual([])
    await expectUntouched()
  })

  test('over https, with a certificate that is trusted', async () => {
    const { url, expectUntouched } = await start(undefined, undefined, listenSecurely)
    const command = join(__dirname, '../../dist/esm/cli.js')
    const env = { ...process.env, NODE_EXTRA_CA_CERTS: certificateFile }
    const { stdout } = await promisify(execFile)(process.execPath, [command, 'doctor', url, '--json'], { env })
    expect(JSON.parse(stdout)).toMatchObject({ findings: [] })
    await expectUntouched()
  })

  test('and without --json each passed check is a line', async () => {
    const { url } = await start()
    const { out } = await cli(['doctor', url])
    expect(out.trim().split('\n')).toHaveLength(11)
    expect(out).toMatch(/^(✓ .+\n)+$/)
    expect(out).toContain('✓ the URL is https, or http on this machine\n')
  })
})

describe('on a bad endpoint it finds', () => {
  test('a proxy that turns HEAD into GET', async () => {
    const { url, expectUntouched } = await start((app) =>
      app.use((req, _res, next) => {
        if (req.method === 'HEAD') req.method = 'GET'
        next()
      }),
    )
    expect(await examine(url)).toMatchObject({ exitCode: 1, found: ['head'] })
    await expectUntouched()
  })

  test('a proxy that drops the headers of a prefetch', async () => {
    const { url, expectUntouched } = await start((app) =>
      app.use((req, _res, next) => {
        delete req.headers['sec-purpose']
        next()
      }),
    )
    expect((await examine(url)).found).toEqual(['prefetch'])
    await expectUntouched() // body-limit was skipped: its body would have been read as a callback
  })

  test.each([
    ['a hit', { 'X-Cache': 'Hit from cloudfront' }],
    ['an age', { Age: '12' }],
    ['a header that allows caching', { 'Cache-Control': 'public, max-age=60' }],
  ])('cached answers, by %s', async (_sign, headers) => {
    const { url } = await start((app) =>
      app.use((_req, res, next) => {
        const writeHead = res.writeHead.bind(res)
        res.writeHead = ((status: number, given: object) => writeHead(status, { ...given, ...headers })) as never
        next()
      }),
    )
    expect(await examine(url)).toMatchObject({ exitCode: 1, found: ['cache'] })
  })

  test('a wrong secret that is accepted', async () => {
    const { url } = await start((app) => app.use('/webhook/:anything', (_req, res) => res.status(204).end()))
    expect((await examine(url)).found).toContain('secret-ignored')
  })

  test('a missing secret', async () => {
    const { base, expectUntouched } = await start(undefined, { secret: false })
    const { found, whats } = await examine(base)
    expect(found).toEqual(['secret-missing'])
    expect(whats).toContain('answered without any credential')
    await expectUntouched()
  })

  test('a webhook that needs no secret', async () => {
    const { base } = await start(undefined, { secret: false })
    expect((await examine(base, '--user', `me:${secret}`)).found).toEqual(['secret-missing', 'secret-ignored'])
  })

  test('a redirect that drops the query', async () => {
    const { url } = await start((app) => app.use('/webhook', (_req, res) => res.redirect('/moved')))
    const { found, whats } = await examine(url)
    expect(found).toEqual(['visit'])
    expect(whats).toContain('drops the query')
  })

  test('a redirect that keeps it', async () => {
    const { url } = await start((app) =>
      app.use('/webhook', (req, res) => res.redirect(301, `https://shop.example${req.originalUrl}`)),
    )
    const { out, exitCode } = await cli(['doctor', url])
    expect(exitCode).toBe(1)
    expect(out).toContain('a sender may not follow')
    expect(out).toContain('(on https://shop.example)')
    expect(out).not.toContain(secret)
  })

  test('a body limit', async () => {
    const { url, expectUntouched } = await start((app) => app.use(express.json({ limit: '10kb' })))
    expect(await examine(url)).toMatchObject({ exitCode: 1, found: ['body-limit'] })
    await expectUntouched()
  })

  test('a firewall that refuses a second question mark, long queries and letters beyond ASCII', async () => {
    const { url } = await start((app) =>
      app.use((req, res, next) => {
        const isFine = req.url.length < 2_000 && req.url.split('?').length === 2 && !/%[89A-F]/i.test(req.url)
        if (isFine || req.method !== 'GET' || !req.url.includes('?')) next()
        else res.status(403).end()
      }),
    )
    expect((await examine(url)).found).toEqual(['second-question-mark', 'long-query', 'non-ascii'])
  })

  test('a self-signed certificate', async () => {
    const { url } = await start(undefined, undefined, listenSecurely)
    const { found, whats } = await examine(url)
    expect([found, whats]).toEqual([['visit'], 'nothing answers: DEPTH_ZERO_SELF_SIGNED_CERT'])
  })

  test.each([
    ['nowhere', {}],
    ['to an invalid URL', { Location: 'http://[' }],
  ])('a redirect that leads %s', async (_where, headers) => {
    const { url } = await start((app) => app.use((_req, res) => res.writeHead(302, headers).end()))
    const { found, whats } = await examine(url)
    expect(found).toEqual(['visit'])
    expect(whats).toContain('the URL redirects')
  })

  test.each([
    [401, 'the secret is not the one of the app'],
    [403, 'something in front of the webhook answers'],
    [503, 'something in front of the webhook answers'],
  ])('another server that answers with %i', async (status, what) => {
    const { url } = await start((app) => app.use((_req, res) => res.status(status).end()))
    const { found, whats } = await examine(url)
    expect(found).toEqual(['visit'])
    expect(whats).toContain(`answered with ${String(status)}`)
    expect(whats).toContain(what)
  })

  test('a page in the place of the webhook', async () => {
    const { url } = await start((app) => app.use((_req, res) => res.send('<h1>Shop</h1>')))
    const { found, whats } = await examine(url)
    expect(found).toEqual(['visit'])
    expect(whats).toContain('this is no webhook')
  })

  test('a secret that is not the one of the app', async () => {
    const { base } = await start()
    const { whats } = await examine(`${base}/another-secret-than-that`)
    expect(whats).toContain('answered with 404: the secret is not the one of the app')
  })

  test('a port on which nothing listens', async () => {
    const listening = await listen(() => undefined)
    await listening.close()
    const { url } = listening
    const { found, whats } = await examine(`${url}/webhook/${secret}`)
    expect([found, whats]).toEqual([['visit'], 'nothing answers: ECONNREFUSED'])
  })
})

test('doctor ends with 1 when it is interrupted', async () => {
  const { url } = await start()
  const { exitCode, out } = await cli(['doctor', url], { interrupted: AbortSignal.abort() })
  expect({ exitCode, out }).toEqual({ exitCode: 1, out: '' })
})

test('http is a finding unless the host is this machine', async () => {
  const { url } = await start()
  const remote = url.replace('127.0.0.1', '0.0.0.0') // reaches this machine, but is no loopback name
  expect((await examine(remote)).found).toEqual(['https'])
})
