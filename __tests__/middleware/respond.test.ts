import type { ErrorRequestHandler, Express, Request } from 'express'
import express4 from 'express4'
import express from 'express'
import type { RequestListener } from 'node:http'
import { conversionWebhook, isConversionWebhookError } from '../../lib/index.js'
import { params, query, sampleConversion, secret } from '../support/callbacks.js'
import { form, json, send, type Sent } from '../support/client.js'
import { recorder } from '../support/recorder.js'
import { closeServers, listen } from '../support/servers.js'

/* respond: false. The middleware sets req.conversion and hands on; what is no callback at all it still answers itself. */

const apps = { 'Express 5': express, 'Express 4': express4 as unknown as typeof express }

describe.each(Object.entries(apps))('respond: false under %s', (_name, framework) => {
  afterEach(closeServers)

  async function start(options = {}, handlers = {}) {
    const { handlers: all, events } = recorder()
    const seen: { conversion: Request['conversion']; url: string; originalUrl: string }[] = []
    const errors: unknown[] = []
    const webhook = conversionWebhook(
      { ...all, onError: () => undefined, ...handlers },
      { secret, respond: false, ...options },
    )
    const app: Express = framework()
    app.use('/webhook', webhook, (req, res) => {
      const { conversion, url, originalUrl } = req
      seen.push({ conversion, url, originalUrl })
      res.send('the app answers')
    })
    const answerError: ErrorRequestHandler = (error: unknown, _req, res, next) => {
      if (res.headersSent) {
        next(error)
        return
      }
      errors.push(error)
      res.status(isConversionWebhookError(error) ? (error.status ?? 599) : 598).send('the app says no')
    }
    app.use(answerError)
    const { port } = await listen(app as RequestListener)
    return { seen, errors, events, call: (url: string, sent?: Sent) => send(port, url, sent) }
  }

  test('hands on accepted, repeated and late callbacks, after the handlers ran', async () => {
    const { call, seen, events } = await start()
    const urls = [query(), query(), query({ conversion: 'pending' })].map((search) => `/webhook/${secret}${search}`)
    for (const url of urls) expect(await call(url)).toMatchObject({ status: 200, body: 'the app answers' })
    expect(events()).toEqual(['success', 'goalComplete'])
    expect(seen.map(({ conversion }) => conversion?.outcome)).toEqual(['accepted', 'duplicate', 'stale'])
    expect(new Set(seen.map(({ conversion }) => conversion?.id)).size).toBe(1)
    expect(seen[0]?.conversion).toEqual({
      ...sampleConversion,
      receivedAt: expect.any(Date) as Date,
      outcome: 'accepted',
      id: expect.stringMatching(/^[0-9a-f]{40}$/) as string,
    })
    expect(seen.map(({ originalUrl }) => originalUrl)).toEqual(urls)
    expect(seen[0]?.url).toBe(`/${secret}${query()}`)
  })

  const header = { 'X-Webhook-Secret': secret }

  test.each([
    ['an unreadable callback', `${query()}&orderID=B-2`, {}, 400, 'ERR_CONVERSION_CALLBACK_UNREADABLE'],
    ['a refused callback', query({ conversion: 'maybe' }), {}, 422, 'ERR_CONVERSION_CALLBACK_REFUSED'],
    ['another content type', '', form('a', 'text/xml'), 415, 'ERR_CONVERSION_TYPE_UNSUPPORTED'],
    ['a body over 64 KiB', '', json({ a: 'a'.repeat(70_000) }), 413, 'ERR_CONVERSION_BODY_OVERSIZED'],
  ] as const)('hands on the error of %s', async (_case, search, sent: Sent, status, code) => {
    const { call, seen, errors } = await start()
    const reply = await call(`/webhook${search}`, { ...sent, headers: { ...sent.headers, ...header } })
    expect(reply).toMatchObject({ status, body: 'the app says no' })
    expect(errors).toEqual([expect.objectContaining({ status, code, expose: true })])
    expect(seen).toEqual([])
  })

  test('hands on the error of a conflict', async () => {
    const { call, seen, errors } = await start()
    await call(`/webhook/${secret}${query()}`)
    expect((await call(`/webhook/${secret}${query({ purchaseValue: '9' })}`)).status).toBe(409)
    expect(errors).toEqual([
      expect.objectContaining({ status: 409, code: 'ERR_CONVERSION_CALLBACK_CONFLICT', expose: true }),
    ])
    expect(seen).toHaveLength(1)
  })

  test('hands on the error of a failed handler, which may not be shown, with its cause', async () => {
    const cause = new Error('no stock')
    const { call, seen, errors } = await start({}, { onSuccess: () => Promise.reject(cause) })
    expect((await call(`/webhook/${secret}${query()}`)).status).toBe(500)
    expect(errors).toEqual([
      expect.objectContaining({ status: 500, code: 'ERR_CONVERSION_HANDLER_FAILED', expose: false, cause }),
    ])
    expect(seen).toEqual([])
  })

  test.each([
    ['a wrong credential', `/webhook${query()}&token=${secret}x`, 401, 'ERR_CONVERSION_CREDENTIAL_REJECTED'],
    ['a missing credential', `/webhook${query()}`, 401, 'ERR_CONVERSION_CREDENTIAL_REJECTED'],
    ['a wrong path secret', `/webhook/${secret}x${query()}`, 404, 'ERR_CONVERSION_PATH_UNKNOWN'],
    ['a deeper path', `/webhook/a/b${query()}`, 404, 'ERR_CONVERSION_PATH_UNKNOWN'],
  ])(
    'hands on the error of %s: what comes after us never runs without a conversion',
    async (_case, url, status, code) => {
      const { call, seen, errors, events } = await start()
      expect(await call(url)).toMatchObject({ status, body: 'the app says no' })
      expect(errors).toEqual([expect.objectContaining({ status, code, expose: true })])
      expect(String(errors[0])).not.toContain(secret)
      expect(seen).toEqual([])
      expect(events()).toEqual([])
    },
  )

  test('still answers what is no callback at all', async () => {
    const { call, seen, errors, events } = await start()
    const url = `/webhook/${secret}`
    const replies = [
      await call(url + query(), { method: 'HEAD' }),
      await call(url + query(), { method: 'OPTIONS' }),
      await call(url),
      await call(url + query(), { headers: { Purpose: 'prefetch' } }),
      await call(url + query(), { method: 'DELETE' }),
    ]
    expect(replies.map(({ status }) => status)).toEqual([204, 204, 204, 403, 405])
    for (const { headers } of replies) expect(headers['cache-control']).toBe('no-store')
    expect([seen, errors, events()]).toEqual([[], [], []])
  })

  test('leaves the body to the app as its parser left it', async () => {
    const { call, seen } = await start()
    expect((await call(`/webhook/${secret}`, json(params()))).body).toBe('the app answers')
    expect(seen[0]?.conversion?.orderId).toBe('ASDXXXXX')
  })
})
