import { Agent, createServer, request } from 'node:http'
import { connect as openSocket, type AddressInfo, type Socket } from 'node:net'
import { readBody } from '../../lib/callback/request.js'
import { documentedNames } from '../../lib/callback/params.js'
import { conversionWebhook, type Conversion } from '../../lib/index.js'
import { startApp } from '../support/app.js'
import { params, query, sample, sampleConversion } from '../support/callbacks.js'
import { form, json, problemOf, send, type Sent } from '../support/client.js'
import { exchange } from '../support/raw.js'
import { deferred, recorder } from '../support/recorder.js'
import { closeServers, frameworks, listen } from '../support/servers.js'

/* Bodies where no body parser ran before us; body-parsers.test.ts has the others. */

afterEach(closeServers)

const formBody = (changes = {}) => String(new URLSearchParams(params(changes)))

describe.each(Object.entries(frameworks))('a body under %s', (_name, mount) => {
  async function start() {
    const { handlers, told } = recorder()
    const refused: unknown[] = []
    const webhook = conversionWebhook({ ...handlers, onRefused: (one) => refused.push(one) }, { secret: false })
    const { port } = await listen(mount('/webhook', webhook))
    const call = (sent: Sent, search = '') => send(port, `/webhook${search}`, sent)
    return { port, call, refused, last: (): Conversion | undefined => told.at(-1)?.conversion }
  }

  test.each([
    ['a form', form(formBody())],
    ['a form with parameters of its type', form(formBody(), 'Application/X-WWW-Form-Urlencoded; a=b; charset="UTF-8"')],
    ['JSON', json(params())],
    [
      'JSON with numbers and a boolean',
      json({ ...sample, purchaseValue: 1000, referrer_converts: 2, goal_complete: true }),
    ],
    ['JSON by a +json type', json(params(), 'application/vnd.referrals.v2+json')],
    ['text/json', json(params(), 'text/json; charset=utf-8')],
  ])('may be %s', async (_kind, sent) => {
    for (const method of ['POST', 'PUT']) {
      const { call, last } = await start()
      expect((await call({ ...sent, method })).body).toBe('{"outcome":"accepted"}')
      expect(last()).toMatchObject({ ...sampleConversion, params: expect.any(Object) as object })
    }
  })

  test.each([
    [
      'windows-1252, escaped',
      form('referrer_name=Jos%E9+%80', 'application/x-www-form-urlencoded; charset=windows-1252'),
    ],
    [
      'windows-1252, as bytes',
      form(latin1('referrer_name=José+\x80'), 'application/x-www-form-urlencoded;charset=cp1252'),
    ],
    ['iso-8859-1', form('referrer_name=Jos%E9+%80', 'application/x-www-form-urlencoded; charset=ISO-8859-1')],
    ['iso-8859-15', form('referrer_name=Jos%E9+%A4', 'application/x-www-form-urlencoded; charset=iso-8859-15')],
    ['UTF-8, as bytes', form('referrer_name=José+€')],
    ['UTF-16 JSON', json(utf16({ referrer_name: 'José €' }), 'application/json; charset=utf-16le')],
    [
      'UTF-16 JSON with a byte order mark',
      json(utf16({ referrer_name: 'José €' }, '\ufeff'), 'application/json; charset=UTF-16'),
    ],
    ['windows-1252 JSON', json(latin1('{"referrer_name":"José \x80"}'), 'application/json; charset=windows-1252')],
    ['UTF-8 JSON with a byte order mark', json('\ufeff{"referrer_name":"José €"}')],
  ])('is read in its declared charset: %s', async (_charset, sent) => {
    const { call, refused } = await start()
    expect((await call(sent)).status).toBe(422)
    expect(refused).toEqual([expect.objectContaining({ params: { referrer_name: 'José €' } })])
  })

  test('is repaired where a name is not UTF-8, and the repair reported', async () => {
    const { call, last } = await start()
    const bytes = latin1(`${formBody({ referrer_name: undefined })}&referrer_name=José`)
    expect((await call(form(bytes))).status).toBe(200)
    expect(last()?.referrer.name).toBe('José')
    expect(last()?.repairs).toEqual([{ parameter: 'referrer_name', kind: 'charset' }])
    const text = JSON.stringify(params({ orderID: 'B-2', referee_name: 'Zoë', referrer_name: 'plain' }))
    expect((await call(json(latin1(text)))).status).toBe(200)
    expect(last()).toMatchObject({ referee: { name: 'Zoë' }, referrer: { name: 'plain' } })
    expect(last()?.repairs).toEqual([{ parameter: 'referee_name', kind: 'charset' }])
  })

  test('is refused where an e-mail address is not in its charset', async () => {
    const { call } = await start()
    for (const sent of [
      form(latin1(`${formBody({ referee_email: undefined })}&referee_email=josé@example.com`)),
      json(latin1(JSON.stringify(params({ referee_email: 'josé@example.com' })))),
    ]) {
      const reply = await call(sent)
      expect(reply.status).toBe(400)
      expect(problemOf(reply).issues).toMatchObject([{ parameter: 'referee_email', rule: 'escape' }])
    }
  })

  test.each([
    ['multipart', form('--x\r\n', 'multipart/form-data; boundary=x')],
    ['plain text', form(formBody(), 'text/plain')],
    ['bytes', form(formBody(), 'application/octet-stream')],
    ['XML', form('<conversion/>', 'application/xml')],
    ['no type', { method: 'POST', body: formBody() }],
    ['no type at all', form(formBody(), 'json')],
    ['a type of more than 256 characters', form(formBody(), `application/x-www-form-urlencoded; a=${'b'.repeat(256)}`)],
    ['a form in an unknown charset', form(formBody(), 'application/x-www-form-urlencoded; charset=x-klingon')],
    ['a form in UTF-16', form(formBody(), 'application/x-www-form-urlencoded; charset=utf-16')],
    ['JSON in an unknown charset', json(params(), 'application/json; charset=utf-32')],
    ['compressed', { ...json(params()), headers: { 'Content-Type': 'application/json', 'Content-Encoding': 'gzip' } }],
  ] as [string, Sent][])('that is %s is 415', async (_kind, sent) => {
    const { call, last } = await start()
    expect(problemOf(await call(sent, query()))).toMatchObject({ status: 415, code: 'ERR_CONVERSION_TYPE_UNSUPPORTED' })
    expect(last()).toBeUndefined()
  })

  test('may have 64 KiB and not a byte more, however it is sent', async () => {
    const { call, last } = await start()
    const full = formBody().padEnd(65_536, '&')
    expect((await call(form(full))).status).toBe(200)
    expect(last()?.orderId).toBe(sample.orderID)
    const chunked = { 'Content-Type': 'application/x-www-form-urlencoded', 'Transfer-Encoding': 'chunked' }
    expect((await call({ method: 'POST', headers: chunked, body: full })).body).toBe('{"outcome":"duplicate"}')
    for (const sent of [form(`${full}&`), { method: 'POST', headers: chunked, body: `${full}&` }]) {
      expect(problemOf(await call(sent))).toMatchObject({ status: 413, code: 'ERR_CONVERSION_BODY_OVERSIZED' })
    }
  })

  test('counts its bytes as they came: 30 KB of raw UTF-8 are not three times as much', async () => {
    const { call, last } = await start()
    for (const character of ['é', '😀']) {
      const x = character.repeat(15_000)
      expect((await call(form(`${formBody({ orderID: character })}&x=${x}`))).status).toBe(200)
      expect(last()?.extra.x).toBe(x)
    }
  })

  test('and its query have 100 parameters and 16,384 characters together', async () => {
    const { call, refused, last } = await start()
    const own = { conversion: 'success', orderID: 'A', b: 'y'.repeat(8_000) }
    const some = (count: number) => `?${'a=1&'.repeat(count)}`
    const long = (count: number) => `?a=${'x'.repeat(count - [...Object.entries(own), 'a'].flat().join('').length)}`
    const searches = [
      [some(97), undefined],
      [some(98), 'count'],
      [some(101), 'count'],
      [long(16_384), undefined],
      [long(16_385), 'size'],
    ] as const
    for (const sent of [form(String(new URLSearchParams(own))), json(own)]) {
      for (const [search, rule] of searches) {
        const reply = await call(sent, search)
        expect([search.length, reply.status]).toEqual([search.length, rule === undefined ? 200 : 400])
        if (rule === undefined) continue
        expect(problemOf(reply).issues).toMatchObject([{ rule }])
        expect(refused.at(-1)).toMatchObject({ params: {} })
      }
    }
    expect(Object.keys(last()?.extra ?? {})).toEqual(['b', 'a'])
  })

  test('that is full of arrays is answered with one issue', async () => {
    const { call } = await start()
    const many = `{"conversion":"success","orderID":[${'[],'.repeat(21_000)}[]]}`
    const reply = await call(json(many))
    expect(problemOf(reply)).toMatchObject({ status: 400, issues: [{ rule: 'count' }] })
    expect(reply.body.length).toBeLessThan(500)
  })

  test('that is too large leaves its connection usable', async () => {
    const { handlers } = recorder()
    const sockets = new Set<Socket>()
    const listener = mount('/webhook', conversionWebhook(handlers, { secret: false }))
    const { port } = await listen((req, res) => {
      sockets.add(req.socket)
      listener(req, res)
    })
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    try {
      const large = `a=${'a'.repeat(200_000)}`
      const chunked = { 'Content-Type': 'application/json', 'Transfer-Encoding': 'chunked' }
      expect((await send(port, '/webhook', { ...form(large), agent })).status).toBe(413)
      expect((await send(port, '/webhook', { method: 'PUT', headers: chunked, body: large, agent })).status).toBe(413)
      expect((await send(port, '/webhook', { ...form(large, 'text/plain'), agent })).status).toBe(413)
      expect((await send(port, `/webhook${query()}`, { agent })).body).toBe('{"outcome":"accepted"}')
      expect(sockets.size).toBe(1)
    } finally {
      agent.destroy()
    }
  })

  test('that is empty is none, whatever its type: the query is read', async () => {
    const { call } = await start()
    expect((await call({ method: 'POST', headers: { 'Content-Length': 0 } }, query())).status).toBe(200)
    expect((await call(form('', 'text/plain'), query())).body).toBe('{"outcome":"duplicate"}')
    const chunked = { 'Content-Type': 'multipart/form-data', 'Transfer-Encoding': 'chunked' }
    expect((await call({ method: 'PUT', headers: chunked }, query())).body).toBe('{"outcome":"duplicate"}')
  })

  test('that holds none of the ten gives way to the query', async () => {
    const { call, last } = await start()
    for (const sent of [form('a=1'), json({ a: 1 })]) expect((await call(sent, query())).status).toBe(200)
    expect({ ...last()?.extra }).toEqual({ a: '1' })
    for (const sent of [json('[1,2]'), json('"text"'), json('null'), json({})]) {
      expect((await call(sent, query())).body).toBe('{"outcome":"duplicate"}')
    }
  })

  test('that holds any of the ten is the callback, beside which the query adds only unknown parameters', async () => {
    const { call, last } = await start()
    const reply = await call(json(params()), '?orderID=of-the-query&campaign=summer&referrer_name=%zz')
    expect(reply.body).toBe('{"outcome":"accepted"}')
    expect(last()).toMatchObject({ orderId: 'ASDXXXXX', extra: { campaign: 'summer' }, repairs: [] })
    expect((await call(form('orderID=A-1'), query())).status).toBe(422)
  })
})

describe('a connection', () => {
  test('that breaks off within a body delivers nothing and is told of as aborted', async () => {
    const { handlers, events } = recorder()
    const failed = deferred<unknown>()
    const webhook = conversionWebhook(handlers, { secret: false, respond: false })
    const { port } = await listen((req, res) => {
      webhook(req, res, failed.resolve)
    })
    const socket = openSocket(port, '127.0.0.1')
    const head =
      'POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 999\r\n\r\n'
    socket.write(head + formBody(), () => socket.destroy())
    expect(await failed.promise).toMatchObject({ status: 400, code: 'ERR_CONVERSION_BODY_ABORTED' })
    expect(events()).toEqual([])
  })

  test.each([
    ['with a body', 'Content-Type: application/json\r\nContent-Length: 9\r\n', 'ERR_CONVERSION_BODY_ABORTED'],
    ['in chunks', 'Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n', 'ERR_CONVERSION_BODY_ABORTED'],
    ['without a body', 'Content-Length: 0\r\n', undefined],
  ])('that is gone before its POST %s is looked at', async (_what, headers, code) => {
    const { handlers, events } = recorder()
    const refused: unknown[] = []
    const onRefused = (one: unknown) => refused.push(one)
    const webhook = conversionWebhook({ ...handlers, onRefused }, { secret: false, respond: false })
    const outcome = deferred<unknown>()
    const arrived = deferred()
    const { port } = await listen((req, res) => {
      arrived.resolve()
      req.once('close', () => {
        webhook(req, res, outcome.resolve)
      })
    })
    const socket = openSocket(port, '127.0.0.1')
    socket.write(`POST /${query()} HTTP/1.1\r\nHost: a\r\n${headers}\r\n`)
    await arrived.promise
    socket.destroy()
    if (code === undefined) expect(await outcome.promise).toBeUndefined()
    else expect(await outcome.promise).toMatchObject({ code })
    expect(events()).toEqual(code === undefined ? ['success', 'goalComplete'] : [])
    expect(refused).toEqual([])
  })

  test('whose body stands still is answered with 408 after its time, and closed', async () => {
    const outcome = deferred<unknown>()
    const server = createServer((req, res) => {
      readBody(req, documentedNames, 20).then(outcome.resolve, outcome.resolve)
      void outcome.promise.then(() => res.end())
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    const outgoing = request({ port, method: 'POST', headers: form('').headers ?? {} }).on('error', () => undefined)
    outgoing.write('conversion=')
    expect(await outcome.promise).toMatchObject({
      status: 408,
      code: 'ERR_CONVERSION_BODY_LATE',
      headers: { Connection: 'close' },
    })
    outgoing.destroy()
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })

  test('has ten seconds for its body', async () => {
    const { port } = await startApp()
    const since = performance.now()
    const bytes = 'PUT /webhook HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{'
    const { status, headers, body } = await exchange(port, Buffer.from(bytes))
    expect(performance.now() - since).toBeGreaterThan(9_900)
    expect(status).toBe(408)
    expect(headers.get('connection')).toBe('close')
    expect(JSON.parse(body)).toEqual({
      type: 'urn:conversion-webhook:ERR_CONVERSION_BODY_LATE',
      status: 408,
      title: 'The body did not arrive in time',
      code: 'ERR_CONVERSION_BODY_LATE',
    })
  })
})

function latin1(text: string): Buffer {
  return Buffer.from(text, 'latin1')
}

function utf16(value: object, mark = ''): Buffer {
  return Buffer.from(mark + JSON.stringify(value), 'utf16le')
}
