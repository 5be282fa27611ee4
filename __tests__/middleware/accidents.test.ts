import { conversionWebhook } from '../../lib/index.js'
import { params, query, secret } from '../support/callbacks.js'
import { form, json, problemOf, send, type Sent } from '../support/client.js'
import { recorder, withEnvironment } from '../support/recorder.js'
import { closeServers, frameworks, listen } from '../support/servers.js'

/* Nothing is ever dispatched by accident. Every request here carries a valid callback and a right secret. */

describe.each(Object.entries(frameworks))('by accident, under %s,', (_name, mount) => {
  afterEach(closeServers)

  async function start() {
    const { handlers, events } = recorder()
    const refused: unknown[] = []
    const webhook = conversionWebhook({ ...handlers, onRefused: (one) => refused.push(one) }, { secret })
    const { port } = await listen(mount('/webhook', webhook))
    const call = (sent: Sent, search = query()) => send(port, `/webhook/${secret}${search}`, sent)
    return { call, events, refused }
  }

  /** Nothing was recorded either: the real callback that follows is the first. */
  async function expectUntouched({ call, events, refused }: Awaited<ReturnType<typeof start>>): Promise<void> {
    expect(events()).toEqual([])
    expect(refused).toEqual([])
    expect((await call({})).body).toBe('{"outcome":"accepted"}')
    expect(events()).toEqual(['success', 'goalComplete'])
  }

  test.each([
    ['HEAD', 204],
    ['OPTIONS', 204],
    ['DELETE', 405],
    ['PATCH', 405],
    ['TRACE', 405],
    ['PROPFIND', 405],
  ])('%s dispatches nothing', async (method, status) => {
    const webhook = await start()
    expect((await webhook.call({ method })).status).toBe(status)
    await expectUntouched(webhook)
  })

  test('another method with a body dispatches nothing', async () => {
    const webhook = await start()
    for (const sent of [form(query().slice(1)), json(params())]) {
      expect((await webhook.call({ ...sent, method: 'PATCH' }, '')).status).toBe(405)
    }
    await expectUntouched(webhook)
  })

  test.each([
    ['Sec-Purpose', 'prefetch'],
    ['Sec-Purpose', 'prefetch;prerender'],
    ['Purpose', 'prefetch'],
    ['Purpose', 'preview'],
    ['X-Moz', 'prefetch'],
    ['X-Purpose', 'Preview'],
  ])('%s: %s dispatches nothing, whatever the method', async (name, value) => {
    const webhook = await start()
    for (const method of ['GET', 'POST', 'PUT']) {
      const reply = await webhook.call({ method, headers: { [name]: value } })
      expect(problemOf(reply)).toMatchObject({ status: 403, code: 'ERR_CONVERSION_PREFETCH_REJECTED' })
    }
    await expectUntouched(webhook)
  })

  test('a visit without parameters dispatches nothing', async () => {
    const webhook = await start()
    for (const search of ['', '?', '?utm_source=mail', '?Conversion=success&orderid=1', '?&&=']) {
      expect((await webhook.call({}, search)).status).toBe(204)
    }
    await expectUntouched(webhook)
  })

  test('a GET with a body dispatches nothing of the body', async () => {
    const webhook = await start()
    for (const sent of [form(query().slice(1)), json(params())]) {
      expect((await webhook.call({ ...sent, method: 'GET' }, '')).status).toBe(204)
    }
    await expectUntouched(webhook)
  })

  describe('in production', () => {
    let restore: () => void
    let warn: jest.SpyInstance

    beforeEach(() => {
      restore = withEnvironment({ NODE_ENV: 'production' })
      warn = jest.spyOn(process, 'emitWarning').mockImplementation() // that the memory inbox forgets
    })

    afterEach(() => {
      restore()
      warn.mockRestore()
    })

    test.each([
      { 'Sec-Fetch-Mode': 'navigate', 'Sec-Fetch-Dest': 'document' },
      { 'Sec-Fetch-Mode': 'navigate' },
      { 'Sec-Fetch-Mode': 'no-cors', 'Sec-Fetch-Dest': 'image' },
      { 'Sec-Fetch-Dest': 'iframe' },
    ])('a browser dispatches nothing: %j', async (headers) => {
      const webhook = await start()
      const reply = await webhook.call({ headers })
      expect(problemOf(reply)).toMatchObject({ status: 403, code: 'ERR_CONVERSION_BROWSER_REJECTED' })
      await expectUntouched(webhook)
    })

    test('a server that sends fetch headers is no browser', async () => {
      const { call, events } = await start()
      const headers = { 'Sec-Fetch-Mode': 'cors', 'Sec-Fetch-Dest': 'empty' }
      expect((await call({ headers })).body).toBe('{"outcome":"accepted"}')
      expect(events()).toEqual(['success', 'goalComplete'])
    })
  })

  test('outside production a browser may be used to try the webhook', async () => {
    const { call, events } = await start()
    expect((await call({ headers: { 'Sec-Fetch-Mode': 'navigate', 'Sec-Fetch-Dest': 'document' } })).status).toBe(200)
    expect(events()).toEqual(['success', 'goalComplete'])
  })
})
