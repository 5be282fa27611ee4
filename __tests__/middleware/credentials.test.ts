import connect from 'connect'
import express from 'express'
import type { RequestListener } from 'node:http'
import { conversionWebhook, memoryInbox, type WebhookRequest } from '../../lib/index.js'
import { params, query, secret } from '../support/callbacks.js'
import { form, json, problemOf, send, type Sent } from '../support/client.js'
import { recorder, withEnvironment } from '../support/recorder.js'
import { closeServers, frameworks, listen } from '../support/servers.js'

/* Who may call. */

const older = 'the-secret-before-rotation'
const basic = (pair: string) => `Basic ${Buffer.from(pair).toString('base64')}`

afterEach(closeServers)

/** What `accept` says of a scope. */
async function webhookOf(scope: string): Promise<unknown> {
  return conversionWebhook({}, { secret: [secret, older] }).accept(query(), { scope })
}

describe.each(Object.entries(frameworks))('the secret under %s', (_name, mount) => {
  async function start(options = {}, handlers = {}) {
    const { handlers: all, told } = recorder()
    const webhook = conversionWebhook({ ...all, ...handlers }, { secret: [secret, older], ...options })
    const { port } = await listen(mount('/webhook', webhook))
    return { told, inbox: webhook.inbox, call: (url: string, sent?: Sent) => send(port, url, sent) }
  }

  test.each([
    ['the last segment of the path', `/webhook/${secret}${query()}`, {}],
    ['a Bearer token', `/webhook${query()}`, { Authorization: `Bearer ${secret}` }],
    ['a Bearer token, in another case of the scheme', `/webhook${query()}`, { Authorization: `bearer  ${secret}` }],
    ['the password of Basic', `/webhook${query()}`, { Authorization: basic(`anybody:${secret}`) }],
    ['the password of Basic without a user', `/webhook${query()}`, { Authorization: basic(`:${secret}`) }],
    ['the header X-Webhook-Secret', `/webhook${query()}`, { 'X-Webhook-Secret': secret }],
    ['the query parameter token', `/webhook${query()}&token=${secret}`, {}],
    ['the query that the configured URL had, before a second "?"', `/webhook?token=${secret}${query()}`, {}],
  ])('is accepted as %s', async (_place, url, headers) => {
    const { call, told } = await start()
    expect((await call(url, { headers })).body).toBe('{"outcome":"accepted"}')
    expect(told.map(({ event }) => event)).toEqual(['success', 'goalComplete'])
    expect(JSON.stringify(told)).not.toContain(secret)
    expect({ ...told[0]?.conversion.extra }).toEqual({})
  })

  test('any secret of the list is right', async () => {
    const { call } = await start()
    expect((await call(`/webhook/${older}${query()}`)).body).toBe('{"outcome":"accepted"}')
    expect((await call(`/webhook${query()}`, { headers: { 'X-Webhook-Secret': older } })).status).toBe(200)
  })

  test('one right credential is enough among wrong ones', async () => {
    const { call } = await start()
    const headers = { Authorization: 'Bearer wrong', 'X-Webhook-Secret': secret }
    expect((await call(`/webhook${query()}&token=wrong`, { headers })).status).toBe(200)
    expect((await call(`/webhook/${secret}${query()}&token=wrong`)).status).toBe(200)
  })

  test.each([
    ['a prefix', { 'X-Webhook-Secret': secret.slice(0, -1) }],
    ['another case', { 'X-Webhook-Secret': secret.toUpperCase() }],
    ['two secrets at once', { 'X-Webhook-Secret': `${secret}, ${older}` }],
    ['the secret as the user of Basic', { Authorization: basic(`${secret}:wrong`) }],
    ['the secret in a scheme that we do not know', { Authorization: `Digest ${secret}`, 'X-Webhook-Secret': '' }],
    ['an empty credential', { 'X-Webhook-Secret': '' }],
  ])('%s is refused, whatever the method', async (_case, headers) => {
    const { call, told } = await start()
    for (const sent of [{ headers }, { ...form(query().slice(1)), headers }]) {
      const reply = await call(`/webhook${query()}`, sent)
      expect(problemOf(reply)).toMatchObject({ status: 401, code: 'ERR_CONVERSION_CREDENTIAL_REJECTED' })
    }
    expect(told).toEqual([])
  })

  test('a callback without a credential is refused at the root', async () => {
    const { told, handlers } = recorder()
    const { port } = await listen(mount('/', conversionWebhook(handlers, { secret })))
    expect((await send(port, `/${query()}`)).status).toBe(401)
    expect((await send(port, '/')).status).toBe(401)
    expect(told).toEqual([])
  })

  test('nothing of the callback is judged before the credential', async () => {
    const refused: unknown[] = []
    const { call } = await start({}, { onRefused: (one: unknown) => refused.push(one) })
    const headers = { 'X-Webhook-Secret': 'wrong' }
    for (const sent of [json('{', 'application/json'), form('x', 'text/xml'), form(`a=${'a'.repeat(70_000)}`)]) {
      const reply = await call('/webhook?conversion=no&conversion=%zz', {
        ...sent,
        headers: { ...sent.headers, ...headers },
      })
      expect(reply.status).toBe(401)
    }
    expect(refused).toEqual([])
  })

  test('the token is gone from what observers see of a refused callback', async () => {
    const refused: { params: Readonly<Record<string, string>> }[] = []
    const { call } = await start({}, { onRefused: (one: (typeof refused)[number]) => refused.push(one) })
    const url = `/webhook?token=${secret}&conversion=maybe&campaign=summer`
    expect((await call(url)).status).toBe(422)
    expect((await call(url, form('orderID=B-2&referrer_email=%zz'))).status).toBe(400)
    expect(refused.map((one) => ({ ...one.params }))).toEqual([
      { conversion: 'maybe', campaign: 'summer' },
      { orderID: 'B-2', referrer_email: '%zz', campaign: 'summer' },
    ])
    expect(JSON.stringify(refused)).not.toContain(secret)
  })

  test.each([
    ['as the last of several', `/webhook${query()}&token=wrong&token=${secret}`, 200],
    ['first', `/webhook?token=${secret}&${query().slice(1)}`, 200],
    ['before a second "?", beside other parameters', `/webhook?a=1&token=${secret}${query()}`, 200],
    ['behind &amp;', `/webhook${query()}&amp;token=${secret}`, 200],
    ['percent-encoded', `/webhook${query()}&token=${secret.replaceAll('-', '%2D')}`, 200],
    ['in another name', `/webhook${query()}&mytoken=${secret}&token2=${secret}`, 401],
    ['in a text', `/webhook${query()}&note=token=${secret}`, 401],
    ['behind three others', `/webhook${query()}${'&token=wr+ong?x'.repeat(3)}&token=${secret}`, 200],
    ['behind four others', `/webhook${query()}${'&token=wrong'.repeat(4)}&token=${secret}`, 401],
  ])('a token is found %s', async (_where, url, status) => {
    const { call } = await start()
    expect((await call(url, { headers: { 'X-Webhook-Secret': 'wrong' } })).status).toBe(status)
  })

  test.each([
    ['base64, pasted as it is', 'base64+with/all+of/it==', 'base64+with/all+of/it=='],
    ['base64, pasted as it is, before a second "?"', 'base64+with/all+of/it==', 'base64+with/all+of/it==?utm=1'],
    ['base64, encoded', 'base64+with/all+of/it==', encodeURIComponent('base64+with/all+of/it==')],
    ['with blanks, encoded by a form', 'one with blanks in it', 'one+with+blanks+in+it'],
    ['with "?"', 'who?knows?the?secret', 'who?knows?the?secret'],
    ['beyond ASCII', 'geheimnis für prüfungen', encodeURIComponent('geheimnis für prüfungen')],
  ])('a token may be %s', async (_what, own, token) => {
    const { call } = await start({ secret: own })
    expect((await call(`/webhook${query()}&token=${token}`)).status).toBe(200)
    expect((await call(`/webhook${query()}&token=${token.slice(1)}`)).status).not.toBe(200)
  })

  test.each([
    ['UTF-8', 'utf8'],
    ['latin1', 'latin1'],
  ] as const)('a secret beyond ASCII is right in a header in %s', async (_charset, charset) => {
    const own = 'geheimnis-für-prüfungen'
    const { call } = await start({ secret: own })
    const sent = Buffer.from(own, charset).toString('latin1') // what Node's client writes as these bytes
    for (const headers of [{ 'X-Webhook-Secret': sent }, { Authorization: `Bearer ${sent}` }]) {
      expect((await call(`/webhook${query()}`, { headers })).status).toBe(200)
    }
    expect((await call(`/webhook${query()}`, { headers: { 'X-Webhook-Secret': `${sent}ü` } })).status).not.toBe(200)
  })

  test('a scope that holds a secret is answered with 500, and nothing of it is kept', async () => {
    const told: unknown[] = []
    for (const scope of [secret, `spring/${secret}`, encodeURIComponent(`é${secret}`), secret.replace('-', '%2D')]) {
      const { call, inbox } = await start({ scope: () => scope }, { onError: (failure: unknown) => told.push(failure) })
      const reply = await call(`/webhook/${secret}${query()}`)
      expect(problemOf(reply)).toMatchObject({ status: 500, code: 'ERR_CONVERSION_SCOPE_FAILED' })
      expect((await call(`/webhook/${secret}${query({ conversion: 'maybe' })}`)).status).toBe(500)
      expect((await call(`/webhook/${secret}`)).status).toBe(500) // a visit shows the mistake before a callback does
      expect(await inbox.list()).toEqual([])
      const error: unknown = await webhookOf(scope).catch((rejection: unknown) => rejection)
      expect(error).toMatchObject({ code: 'ERR_CONVERSION_OPTION_INVALID' })
    }
    expect(told).toHaveLength(12)
    expect(JSON.stringify(told)).not.toContain(secret)
    expect(told[0]).toMatchObject({ stage: 'scope', error: { message: /^scope must hold no secret/ } })
  })

  test('no secret is recorded or shown, wherever else a sender repeats it', async () => {
    const refused: unknown[] = []
    const { call, told, inbox } = await start({}, { onRefused: (one: unknown) => refused.push(one) })
    const broken = `{"token":"${secret}", "orderID": "A-1", "note": "${secret}`
    expect((await call(`/webhook?token=${secret}`, json(broken))).status).toBe(400)
    const utf16 = Buffer.from(broken, 'utf16le')
    expect((await call(`/webhook?token=${secret}`, json(utf16, 'application/json; charset=utf-16le'))).status).toBe(400)
    expect(refused).toMatchObject([{ params: {} }, { params: {} }])
    expect((await call(`/webhook?${secret}&token=${secret}&conversion=maybe`)).status).toBe(422)
    expect((await call(`/webhook${query()}&token=${secret}&amp;${secret}=%ff&from=${secret}`)).status).toBe(200)
    expect({ ...told[0]?.conversion.extra }).toEqual({ '[redacted]': '\u00ff', from: '[redacted]' })
    const everything = [refused, told, await inbox.list()]
    expect(JSON.stringify(everything)).not.toContain(secret)
  })

  test('no secret is recorded or shown, percent-encoded, beside one that begins with it, or as a name', async () => {
    const short = 'begins/the/others'
    const long = `${short}-and-ends-so`
    const inbox = memoryInbox()
    const quarantine = jest.spyOn(inbox, 'quarantine')
    const { call, told } = await start({ secret: [short, long], inbox })
    const headers = { 'X-Webhook-Secret': short }
    const own = encodeURIComponent(`https://shop.example/webhook/${encodeURIComponent(short)}`)
    expect((await call(`/webhook${query()}&from=${own}&to=${encodeURIComponent(long)}`, { headers })).status).toBe(200)
    expect({ ...told[0]?.conversion.extra }).toEqual({ from: '[redacted]', to: '[redacted]' })
    const refused = json({ ...params(), conversion: 'maybe', [long]: 1.5 })
    expect((await call('/webhook', { ...refused, headers: { ...refused.headers, ...headers } })).status).toBe(422)
    expect(quarantine).toHaveBeenCalledTimes(1)
    expect(JSON.stringify(quarantine.mock.calls)).not.toMatch(/begins|ends-so/)
  })

  test('the environment has the secrets where the option is left out', async () => {
    const restore = withEnvironment({ CONVERSION_WEBHOOK_SECRET: `${older} , ${secret}` })
    try {
      const { call } = await start({ secret: undefined })
      expect((await call(`/webhook/${secret}${query()}`)).status).toBe(200)
      expect((await call(`/webhook/${older}${query()}`)).status).toBe(200)
      expect((await call(`/webhook/${older} , ${secret}`.replaceAll(' ', '%20') + query())).status).toBe(404)
    } finally {
      restore()
    }
  })

  test('without a secret a token is a parameter like any other', async () => {
    const { call, told } = await start({ secret: false })
    expect((await call(`/webhook${query()}&token=of-the-shop`)).status).toBe(200)
    expect({ ...told[0]?.conversion.extra }).toEqual({ token: 'of-the-shop' })
  })

  test('allowFrom is asked in addition to the secret, never instead', async () => {
    const { call, told } = await start({ allowFrom: '127.0.0.1' })
    expect((await call(`/webhook${query()}`, { headers: { 'X-Webhook-Secret': 'wrong' } })).status).toBe(401)
    expect(told).toEqual([])
    expect((await call(`/webhook/${secret}${query()}`)).status).toBe(200)
  })
})

test('without a right credential no parameter is decoded, whatever the method', async () => {
  const decode = jest.spyOn(globalThis, 'decodeURIComponent') // Express 4 calls it itself, Connect does not
  try {
    const { port } = await listen(connect().use('/webhook', conversionWebhook({}, { secret })))
    const url = `/webhook${query({ referrer_name: '%41%zz' })}&%74oken=x&token=%41`
    for (const method of ['GET', 'POST', 'PUT']) expect((await send(port, url, { method })).status).toBe(401)
    const decoded = decode.mock.calls.map(([text]) => text).filter((text) => /[%=&]/.test(text))
    expect(decoded).toEqual(['%41', '%41', '%41'])
  } finally {
    decode.mockRestore()
  }
})

describe('allowFrom', () => {
  type AllowFrom = Parameters<typeof conversionWebhook>[1] extends infer O ? NonNullable<O> : never

  /** The status that a callback from an address is answered with, the address being what `trust proxy` makes of the header. */
  async function statusFrom(address: string, allowFrom: AllowFrom['allowFrom'], trust: unknown = 'loopback') {
    const webhook = conversionWebhook({ onError: () => undefined }, { secret: false, allowFrom })
    const app = express().set('trust proxy', trust).use('/webhook', webhook)
    const { port } = await listen(app as RequestListener)
    return (await send(port, `/webhook${query()}`, { headers: { 'X-Forwarded-For': address } })).status
  }

  test.each([
    ['an IPv4 address', '203.0.113.7', '203.0.113.7', '203.0.113.8'],
    ['an IPv4 range', '203.0.113.0/24', '203.0.113.255', '203.0.114.0'],
    ['an IPv6 address in any spelling', '2001:db8::1', '2001:0DB8:0:0::1', '2001:db8::2'],
    ['an IPv6 range', '2001:db8::/32', '2001:db8:ffff::1', '2001:db9::1'],
    ['an IPv4 address, which may arrive mapped', '203.0.113.7', '::ffff:203.0.113.7', '::ffff:203.0.113.8'],
    ['a mapped IPv4 address', '::ffff:203.0.113.7', '203.0.113.7', '2001:db8::1'],
    ['a mapped IPv4 range', '::ffff:203.0.113.0/120', '203.0.113.9', '203.0.114.9'],
    ['a list', ['198.51.100.1', ' 2001:db8::/32 '], '2001:db8::9', '203.0.113.7'],
    ['all of IPv4', '0.0.0.0/0', '203.0.113.7', '2001:db8::1'],
    ['a link-local range', 'fe80::/10', 'fe80::1%eth0', 'fec0::1'],
    ['an address', '203.0.113.7', '203.0.113.7', 'unknown'],
  ])('takes %s', async (_kind, allowFrom, allowed, other) => {
    expect(await statusFrom(allowed, allowFrom)).toBe(200)
    expect(await statusFrom(other, allowFrom)).toBe(403)
  })

  test('believes a forwarded address only where the app trusts the proxy', async () => {
    expect(await statusFrom('203.0.113.7', '203.0.113.7', false)).toBe(403)
    expect(await statusFrom('203.0.113.7', '127.0.0.1', false)).toBe(200)
  })

  test('looks at the socket where there is no req.ip', async () => {
    const webhook = conversionWebhook({}, { secret: false, allowFrom: '127.0.0.0/8' })
    const { port } = await listen(connect().use('/webhook', webhook))
    const headers = { 'X-Forwarded-For': '203.0.113.7' }
    expect((await send(port, `/webhook${query()}`, { headers })).status).toBe(200)
  })

  test('warns once that an app which trusts every proxy believes anybody', async () => {
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation()
    try {
      const webhook = conversionWebhook({}, { secret: false, allowFrom: '203.0.113.7' })
      const { port } = await listen(express().set('trust proxy', true).use('/webhook', webhook) as RequestListener)
      for (const orderID of ['A-1', 'A-2']) {
        const headers = { 'X-Forwarded-For': '203.0.113.7' }
        expect((await send(port, `/webhook${query({ orderID })}`, { headers })).status).toBe(200)
      }
      const codes = warn.mock.calls.map(([, options]) => (options as { code?: string }).code)
      expect(codes).toEqual(['WRN_CONVERSION_PROXY_TRUSTED'])
    } finally {
      warn.mockRestore()
    }
  })

  test('may be a function of the request', async () => {
    const allowFrom = (req: WebhookRequest) => req.headers['x-zone'] === 'inner'
    const { port } = await listen(express().use(conversionWebhook({}, { secret: false, allowFrom })) as RequestListener)
    expect((await send(port, `/${query()}`, { headers: { 'X-Zone': 'inner' } })).status).toBe(200)
    expect((await send(port, `/${query()}`, { headers: { 'X-Zone': 'outer' } })).status).toBe(403)
  })

  test.each([
    ['a promise', () => Promise.resolve(true)],
    ['a rejected promise', () => Promise.reject(new Error('no database'))],
    ['a truthy text', () => 'yes'],
    ['nothing', () => undefined],
  ])('takes %s of a function for no', async (_what, allowFrom) => {
    expect(await statusFrom('203.0.113.7', allowFrom as unknown as () => boolean)).toBe(403)
  })

  test('lets nobody in when its function throws, and tells onError', async () => {
    const told: unknown[] = []
    const error = new Error(`not ${params().referrer_email ?? ''}`)
    const allowFrom = () => {
      throw error
    }
    const webhook = conversionWebhook({ onError: (failure) => told.push(failure) }, { secret: false, allowFrom })
    const { port } = await listen(express().use(webhook) as RequestListener)
    const reply = await send(port, `/${query()}`)
    expect(problemOf(reply)).toMatchObject({ status: 403, code: 'ERR_CONVERSION_ADDRESS_REJECTED' })
    expect(told).toEqual([{ stage: 'allowFrom', error }])
  })
})
