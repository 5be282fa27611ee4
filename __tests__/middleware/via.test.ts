import express from 'express'
import type { RequestListener } from 'node:http'
import { conversionWebhook, memoryInbox, type ConversionWebhookOptions } from '../../lib/index.js'
import { params, query, secret } from '../support/callbacks.js'
import { form, json, send } from '../support/client.js'
import { closeServers, listen } from '../support/servers.js'

/* How a callback came is handed to the inbox with the callback, and never whose address it came from. */

afterEach(closeServers)

/** A webhook at /webhook and behind a route, and what its inbox was given. */
async function start(options: ConversionWebhookOptions = {}) {
  const inbox = memoryInbox()
  const accept = jest.spyOn(inbox, 'accept')
  const quarantine = jest.spyOn(inbox, 'quarantine')
  const webhook = conversionWebhook({}, { secret, inbox, ...options })
  const app = express()
  app.get('/route/:secret', webhook)
  app.use('/webhook', webhook)
  const { port } = await listen(app as RequestListener)
  /** Of the callbacks that were recorded, and of those that were refused. */
  const arrived = () => [
    ...accept.mock.calls.map(([{ via, carrier }]) => ({ via, carrier })),
    ...quarantine.mock.calls.map(([kept]) => {
      const { via, carrier } = kept.kind === 'refused' ? kept.received : kept.callback
      return { via, carrier }
    }),
  ]
  return { port, webhook, arrived }
}

const basic = Buffer.from(`somebody:${secret}`).toString('base64')
const places: readonly (readonly [string, string, Record<string, string>])[] = [
  ['path', `/webhook/${secret}${query()}`, {}],
  ['route', `/route/${secret}${query()}`, {}],
  ['bearer', `/webhook${query()}`, { Authorization: `Bearer ${secret}` }],
  ['basic', `/webhook${query()}`, { Authorization: `Basic ${basic}` }],
  ['header', `/webhook${query()}`, { 'X-Webhook-Secret': secret }],
  ['query', `/webhook${query()}&token=${secret}`, {}],
]

test.each(places)('a credential in the %s is told by its place', async (credential, path, headers) => {
  const { port, arrived } = await start()
  expect(await send(port, path, { headers })).toMatchObject({ status: 200 })
  expect(arrived()).toEqual([{ via: { by: 'request', method: 'GET', credential }, carrier: undefined }])
})

test('of several credentials the right one is told', async () => {
  const { port, arrived } = await start()
  const headers = { Authorization: `Bearer ${'wrong'.repeat(5)}`, 'X-Webhook-Secret': secret }
  await send(port, `/webhook${query()}`, { headers })
  expect(arrived()).toMatchObject([{ via: { credential: 'header' } }])
})

test('a bare server tells the last segment of the path', async () => {
  const inbox = memoryInbox()
  const accept = jest.spyOn(inbox, 'accept')
  const { port } = await listen(conversionWebhook({}, { secret, inbox }))
  await send(port, `/any/where/${secret}${query()}`)
  expect(accept.mock.calls).toMatchObject([[{ via: { credential: 'path' } }]])
})

test('method, content type and user agent are those of the request, and without a secret no credential is told', async () => {
  const { port, arrived } = await start({ secret: false })
  const headers = { 'User-Agent': 'Sender/1.0' }
  const posted = form(query().slice(1))
  await send(port, '/webhook', { ...posted, headers: { ...posted.headers, ...headers } })
  await send(port, '/webhook', { ...json(params()), method: 'PUT' })
  await send(port, `/webhook${query()}`)
  expect(arrived().map(({ via }) => via)).toEqual([
    {
      by: 'request',
      method: 'POST',
      contentType: 'application/x-www-form-urlencoded',
      userAgent: 'Sender/1.0',
    },
    { by: 'request', method: 'PUT', contentType: 'application/json' },
    { by: 'request', method: 'GET' },
  ])
})

test('a refused callback and a conflict tell it too', async () => {
  const { port, webhook, arrived } = await start()
  const headers = { 'User-Agent': 'Sender/1.0' }
  await send(port, `/webhook/${secret}${query({ purchaseValue: '0x10' })}`, { headers })
  await send(port, `/webhook/${secret}${query()}`, { headers })
  await send(port, `/webhook/${secret}${query({ purchaseValue: '7' })}`, { headers })
  const via = { by: 'request', method: 'GET', userAgent: 'Sender/1.0', credential: 'path' }
  expect(arrived().map((each) => each.via)).toEqual([via, via, via])
  await webhook.close()
})

test('a callback that the app accepted tells that', async () => {
  const { webhook, arrived } = await start()
  await webhook.accept(params())
  await webhook.accept(params({ purchaseValue: '0x10' }))
  expect(arrived().map(({ via }) => via)).toEqual([{ by: 'accept' }, { by: 'accept' }])
})

test('an allowed address is told as allowed, and is not told itself', async () => {
  const { port, arrived } = await start({ allowFrom: ['127.0.0.1', '::1'] })
  await send(port, `/webhook/${secret}${query()}`)
  expect(arrived()).toMatchObject([{ via: { isFromAllowed: true } }])
  expect(JSON.stringify(arrived())).not.toMatch(/127\.0\.0\.1|::1/)
})

describe("a stranger's header", () => {
  const agents: readonly (readonly [string, string, string])[] = [
    ['that is long is cut', 'x'.repeat(4_000), 'x'.repeat(256)],
    ['that holds control characters holds none', 'a\u009b31mred\tb', 'a\ufffd31mred\ufffdb'],
    ['that holds a secret is masked', `Sender ${secret}!`, 'Sender [redacted]!'],
    ['that holds a secret where it is cut is masked first', 'y'.repeat(250) + secret, `${'y'.repeat(250)}[redac`],
    ['that holds one beside a stray percent sign is masked whole', `100% ${secret.replace('a', '%61')}`, '[redacted]'],
    ['that is UTF-8 is kept as it was sent', Buffer.from('müller').toString('latin1'), 'müller'],
    ['is cut before an address', `${'y'.repeat(250)} eva@shop.example`, `${'y'.repeat(250)} `],
    ['that holds a secret percent-encoded is masked whole', `Sender ${secret.replace('a', '%61')}`, '[redacted]'],
  ]
  test.each(agents)('%s', async (_what, sent, kept) => {
    const { port, arrived } = await start()
    await send(port, `/webhook/${secret}${query()}`, { headers: { 'User-Agent': sent } })
    await send(port, `/webhook/${secret}${query({ purchaseValue: '' })}&note=1`, { headers: { 'User-Agent': sent } })
    expect(arrived().map(({ via }) => via)).toMatchObject([{ userAgent: kept }, { userAgent: kept }])
  })

  test('that holds a secret in UTF-8 is masked', async () => {
    const own = 'geheimnis-schlüssel-24'
    const { port, arrived } = await start({ secret: own })
    const headers = { 'User-Agent': Buffer.from(`Sender ${own}`).toString('latin1') }
    await send(port, `/webhook/${encodeURIComponent(own)}${query()}`, { headers })
    expect(arrived()).toMatchObject([{ via: { userAgent: 'Sender [redacted]' } }])
  })

  test('is cut without a secret too', async () => {
    const { port, arrived } = await start({ secret: false })
    const headers = { 'User-Agent': 'x'.repeat(4_000), 'Content-Type': `text/${'x'.repeat(4_000)}` }
    await send(port, `/webhook${query()}`, { headers })
    expect(arrived()).toMatchObject([{ via: { userAgent: 'x'.repeat(256), contentType: `text/${'x'.repeat(123)}` } }])
  })
})

test('callbacks that came in different ways are the same callback', async () => {
  const { port, webhook } = await start()
  const first = await webhook.accept(params())
  const reply = await send(port, `/webhook/${secret}${query()}`, { headers: { 'User-Agent': 'Sender/1.0' } })
  expect(reply.body).toBe('{"outcome":"duplicate"}')
  const refused = await webhook.accept(params({ purchaseValue: '0x10' }))
  await send(port, `/webhook/${secret}${query({ purchaseValue: '0x10' })}`)
  expect(await webhook.inbox.get(refused.id)).toMatchObject({ count: 2 })
  expect(first.outcome).toBe('accepted')
})
