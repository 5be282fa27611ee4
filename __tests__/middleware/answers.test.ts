import { conversionWebhook, memoryInbox, type Inbox } from '../../lib/index.js'
import { params, query, secret } from '../support/callbacks.js'
import { form, json, problemOf, send, type Reply, type Sent } from '../support/client.js'
import { recorder, withEnvironment } from '../support/recorder.js'
import { closeServers, frameworks, listen } from '../support/servers.js'

/* Row by row: status, headers and body of every answer, on every framework. */

const silent = { onError: () => undefined }
const withSecret = { 'X-Webhook-Secret': secret }

/** Headers that every answer of ours has, and the one that none has. */
function expectOurHeaders({ headers }: Reply): void {
  expect(headers).toMatchObject({
    'cache-control': 'no-store',
    'x-robots-tag': 'noindex',
    'referrer-policy': 'no-referrer',
  })
  expect(headers).not.toHaveProperty('etag')
}

function expectProblem(reply: Reply, status: number, code: string, title: string, issues?: object[]): void {
  expectOurHeaders(reply)
  expect(reply.status).toBe(status)
  const problem = { type: `urn:conversion-webhook:${code}`, status, title, code }
  expect(problemOf(reply)).toEqual(issues ? { ...problem, issues } : problem)
  expect(reply.headers['content-length']).toBe(String(Buffer.byteLength(reply.body)))
}

const unreadable = ['ERR_CONVERSION_CALLBACK_UNREADABLE', 'The callback cannot be read'] as const
const refused = ['ERR_CONVERSION_CALLBACK_REFUSED', 'The callback is not a valid conversion'] as const

describe.each(Object.entries(frameworks))('answers under %s', (_name, mount) => {
  afterEach(closeServers)

  async function start(handlers = {}, options = {}) {
    const webhook = conversionWebhook({ ...silent, ...handlers }, { secret: false, ...options })
    const { port } = await listen(mount('/webhook', webhook))
    return (search = query(), sent: Sent = {}) => send(port, `/webhook${search}`, sent)
  }

  test('an accepted, a repeated and a late callback are 200 with the outcome', async () => {
    const call = await start()
    for (const [changes, outcome] of [
      [{}, 'accepted'],
      [{}, 'duplicate'],
      [{ conversion: 'pending' }, 'stale'],
    ] as const) {
      const reply = await call(query(changes))
      expectOurHeaders(reply)
      expect(reply.status).toBe(200)
      expect(reply.headers['content-type']).toBe('application/json')
      expect(reply.body).toBe(`{"outcome":"${outcome}"}`)
    }
  })

  test('a response that throws when it is written ends its connection, and onError is told', async () => {
    const told: unknown[] = []
    const webhook = conversionWebhook({ onError: (failure) => told.push(failure) }, { secret: false })
    const broken = new Error('a wrapper of the response throws')
    const listener = mount('/webhook', webhook)
    const { port } = await listen((req, res) => {
      res.writeHead = () => {
        throw broken
      }
      listener(req, res)
    })
    for (const search of [query(), query({ conversion: 'maybe' })]) {
      await expect(send(port, `/webhook${search}`)).rejects.toThrow('socket hang up')
    }
    expect(told).toEqual([
      { stage: 'internal', error: broken },
      { stage: 'internal', error: broken },
    ])
  })

  test('somebody who opens the URL is answered 204', async () => {
    const call = await start({}, { secret })
    for (const search of ['', '?', '?utm_source=mail']) {
      const reply = await call(search, { headers: withSecret })
      expectOurHeaders(reply)
      expect(reply).toMatchObject({ status: 204, body: '' })
      expect(reply.headers).not.toHaveProperty('content-type')
    }
  })

  test('HEAD is 204, OPTIONS is 204 with the methods', async () => {
    const call = await start()
    const head = await call(query(), { method: 'HEAD' })
    expectOurHeaders(head)
    expect(head).toMatchObject({ status: 204, body: '' })
    const options = await call(query(), { method: 'OPTIONS' })
    expectOurHeaders(options)
    expect(options).toMatchObject({ status: 204, body: '', headers: { allow: 'GET, HEAD, OPTIONS, POST, PUT' } })
  })

  test.each([
    ['a parameter repeated with another text', `${query()}&orderID=B-2`, {}, 'orderID', 'repeated'],
    [
      'a bad escape in an e-mail address',
      `${query({ referee_email: undefined })}&referee_email=%zz`,
      {},
      'referee_email',
      'escape',
    ],
    ['more than 100 parameters', `${query()}${'&a=1'.repeat(100)}`, {}, undefined, 'count'],
    ['a body that is no JSON', '', json('{"conversion":'), undefined, 'syntax'],
  ] as const)('%s is 400 and kept', async (_case, search, sent, parameter, rule) => {
    const told: { id?: string; code: string }[] = []
    const call = await start({ onRefused: (one: { id?: string; code: string }) => told.push(one) })
    const issue = { ...(parameter && { parameter }), rule, message: expect.any(String) as string }
    expectProblem(await call(search, sent), 400, ...unreadable, [issue])
    expect(told).toEqual([expect.objectContaining({ code: unreadable[0], id: expect.stringMatching(/./) as string })])
  })

  test.each([
    ['a value that its rule refuses', query({ purchaseValue: '1e3' }), {}, 'purchaseValue', 'pattern'],
    ['a missing status', query({ conversion: undefined }), {}, 'conversion', 'required'],
    ['an unknown status', query({ conversion: 'maybe' }), {}, 'conversion', 'enum'],
    ['a template that was not filled in', query({ orderID: '{{orderID}}' }), {}, 'orderID', 'placeholder'],
    ['nothing to tell it apart by', query({ orderID: ' ', referee_email: '' }), {}, undefined, 'identity'],
    ['a JSON value of another type', '', json({ ...params(), orderID: {} }), 'orderID', 'type'],
  ] as const)('%s is 422 and kept', async (_case, search, sent, parameter, rule) => {
    const told: { id?: string; code: string }[] = []
    const call = await start({ onRefused: (one: { id?: string; code: string }) => told.push(one) })
    const issue = { ...(parameter && { parameter }), rule, message: expect.any(String) as string }
    expectProblem(await call(search, sent), 422, ...refused, [issue])
    expect(told).toEqual([expect.objectContaining({ code: refused[0], id: expect.stringMatching(/./) as string })])
  })

  test('what schema or parseCustomValue refuses is 422', async () => {
    const parseCustomValue = (text: string): unknown => JSON.parse(text)
    const call = await start({}, { schema: { required: ['campaign'] }, parseCustomValue })
    expectProblem(await call(), 422, ...refused, [
      { parameter: undefined, rule: 'schema:required', message: expect.any(String) as string },
    ])
    expectProblem(await call(`${query()}&campaign=summer`), 422, ...refused, [
      { parameter: 'referrer_customValue', rule: 'customValue', message: expect.any(String) as string },
    ])
  })

  test.each(['POST', 'PUT'])('a %s with none of the ten is 422', async (method) => {
    const call = await start()
    const issues = [
      { rule: 'identity', message: expect.any(String) as string },
      { parameter: 'conversion', rule: 'required', message: 'conversion is missing' },
    ]
    expectProblem(await call('', { ...form('a=1'), method }), 422, ...refused, issues)
    expectProblem(await call('', { method, headers: { 'Content-Length': 0 } }), 422, ...refused, issues)
  })

  test('a conversion reported differently is 409 and not delivered', async () => {
    const { handlers, events } = recorder()
    const call = await start(handlers)
    await call(query({ goal_complete: '0' }))
    const title = 'Another callback reported this conversion differently'
    expectProblem(await call(query({ purchaseValue: '9' })), 409, 'ERR_CONVERSION_CALLBACK_CONFLICT', title)
    expect(events()).toEqual(['success'])
  })

  test('a wrong credential is 401 and says which schemes there are', async () => {
    const call = await start({}, { secret })
    const reply = await call(query(), { headers: { Authorization: 'Bearer wrong' } })
    expectProblem(reply, 401, 'ERR_CONVERSION_CREDENTIAL_REJECTED', 'The credential is wrong or missing')
    expect(reply.headers['www-authenticate']).toBe('Basic realm="conversion webhook", charset="UTF-8", Bearer')
  })

  test('another address is 403 before the credential is looked at', async () => {
    const call = await start({}, { secret, allowFrom: '203.0.113.1' })
    const title = 'Callbacks from this address are not allowed'
    expectProblem(await call(query(), { headers: withSecret }), 403, 'ERR_CONVERSION_ADDRESS_REJECTED', title)
    expectProblem(
      await call(query(), { headers: { 'X-Webhook-Secret': 'x' } }),
      403,
      'ERR_CONVERSION_ADDRESS_REJECTED',
      title,
    )
  })

  test('a prefetch is 403', async () => {
    const call = await start()
    const reply = await call(query(), { headers: { 'Sec-Purpose': 'prefetch' } })
    expectProblem(reply, 403, 'ERR_CONVERSION_PREFETCH_REJECTED', 'A prefetch or preview is not a callback')
  })

  test('a browser in production is 403 with a title that says why', async () => {
    const restore = withEnvironment({ NODE_ENV: 'production' })
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation()
    try {
      const call = await start()
      const reply = await call(query(), { headers: { 'Sec-Fetch-Mode': 'navigate' } })
      const title = 'A browser does not report conversions: the platform calls this URL from its own servers'
      expectProblem(reply, 403, 'ERR_CONVERSION_BROWSER_REJECTED', title)
    } finally {
      restore()
      warn.mockRestore()
    }
  })

  test.each(['DELETE', 'PATCH'])('%s is 405 with the methods', async (method) => {
    const call = await start()
    const reply = await call(query(), { method })
    expectProblem(reply, 405, 'ERR_CONVERSION_METHOD_UNSUPPORTED', 'A callback is a GET, POST or PUT')
    expect(reply.headers.allow).toBe('GET, HEAD, OPTIONS, POST, PUT')
  })

  test('a body over 64 KiB is 413, another content type 415', async () => {
    const call = await start()
    const oversized = await call('', form(`a=${'a'.repeat(65_535)}`))
    expectProblem(oversized, 413, 'ERR_CONVERSION_BODY_OVERSIZED', 'The body is larger than 64 KiB')
    const other = await call('', form('<xml/>', 'text/xml'))
    expectProblem(other, 415, 'ERR_CONVERSION_TYPE_UNSUPPORTED', 'The body is neither a form nor JSON')
  })

  test('a failing handler is 500, a late one too, and neither says how it failed', async () => {
    const fail = () => Promise.reject(new Error(`no such table for ${params().referrer_email ?? ''}`))
    const failing = await (await start({ onSuccess: fail }))()
    expectProblem(failing, 500, 'ERR_CONVERSION_HANDLER_FAILED', 'A handler failed')
    const late = await (await start({ onSuccess: () => new Promise(() => undefined) }, { handlerTimeoutMs: 1 }))()
    expectProblem(late, 500, 'ERR_CONVERSION_HANDLER_LATE', 'A handler did not finish in time')
  })

  test('an inbox that cannot record is 503 with Retry-After, and nothing is delivered', async () => {
    const { handlers, events } = recorder()
    const full = () => Promise.reject(new Error('disk full'))
    const inbox: Inbox<undefined> = Object.assign(memoryInbox(), { accept: full, quarantine: full })
    const call = await start(handlers, { inbox })
    for (const search of [query(), query({ conversion: 'maybe' })]) {
      const reply = await call(search)
      expectProblem(reply, 503, 'ERR_CONVERSION_INBOX_UNAVAILABLE', 'The callback could not be recorded')
      expect(reply.headers['retry-after']).toBe('60')
    }
    expect(events()).toEqual([])
  })

  test('no answer contains a text that was sent', async () => {
    const call = await start({ onSuccess: () => Promise.reject(new Error('M4RK')) }, { schema: { maxProperties: 12 } })
    const marked = Object.fromEntries(Object.keys(params()).map((name) => [name, `M4RK ${name}`]))
    const valid = { referrer_name: 'M4RK', orderID: 'M4RK-1' }
    const replies = [
      await call(query(marked)),
      await call(query(valid)),
      await call(query({ ...valid, purchaseValue: '1' })),
      await call(query({ ...valid, referrer_email: 'M4RK@example.com' })),
      await call(`${query(valid)}&M4RK=M4RK&M4RK[a]=M4RK&a=&b=&c=`),
      await call(`${query(valid)}&orderID=M4RK-2&referee_email=M4RK%zz`),
      await call('?M4RK=M4RK'),
      await call('', json({ ...marked, orderID: ['M4RK', 'M4RK2'], M4RK: 'M4RK' })),
      await call('', json('{"conversion":"M4RK')),
      await call('', form('conversion=M4RK', 'M4RK/M4RK')),
      await call('', form('conversion=M4RK', 'application/json; charset=M4RK')),
      await call('', { method: 'DELETE', headers: { 'X-M4RK': 'M4RK' } }),
    ]
    expect(replies.map(({ status }) => status)).toEqual([422, 500, 409, 409, 422, 400, 204, 400, 400, 415, 415, 405])
    for (const reply of replies) expect(JSON.stringify(reply)).not.toContain('M4RK')
  })
})
