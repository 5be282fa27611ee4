import bodyParser from 'body-parser'
import connect from 'connect'
import express from 'express'
import express4 from 'express4'
import type { RequestListener } from 'node:http'
import { conversionWebhook } from '../../lib/index.js'
import { params, query, sampleConversion } from '../support/callbacks.js'
import { form, json, problemOf, send, type Sent } from '../support/client.js'
import { recorder } from '../support/recorder.js'
import { closeServers, listen, type Middleware } from '../support/servers.js'

/* Bodies behind the body parsers that an app already has: the same conversion, and never a hang. */

type Parser = (req: never, res: never, next: (error?: unknown) => void) => unknown
interface Parsers {
  json(): Parser
  urlencoded(options: { extended: boolean }): Parser
  text(options: { type: string }): Parser
  raw(options: { type: string }): Parser
}

const frameworks: Readonly<Record<string, [Parsers, (parser: Parser, webhook: Middleware) => RequestListener]>> = {
  'Express 5': [
    express,
    (parser, webhook) =>
      express()
        .use(parser as never)
        .use('/webhook', webhook) as RequestListener,
  ],
  'Express 4': [
    express4,
    (parser, webhook) =>
      express4()
        .use(parser as never)
        .use('/webhook', webhook) as RequestListener,
  ],
  'Connect 3': [
    bodyParser,
    (parser, webhook) =>
      connect()
        .use(parser as never)
        .use('/webhook', webhook),
  ],
}

afterEach(closeServers)

describe.each(Object.entries(frameworks))('under %s', (_name, [parsers, mount]) => {
  const all: Readonly<Record<string, Parser>> = {
    'json()': parsers.json(),
    'urlencoded({ extended: true })': parsers.urlencoded({ extended: true }),
    'urlencoded({ extended: false })': parsers.urlencoded({ extended: false }),
    'text()': parsers.text({ type: '*/*' }),
    'raw()': parsers.raw({ type: '*/*' }),
  }

  async function start(parser: Parser) {
    const { handlers, told } = recorder()
    const { port } = await listen(mount(parser, conversionWebhook(handlers, { secret: false })))
    const call = (sent: Sent, search = '') => send(port, `/webhook${search}`, sent)
    return { call, last: () => told.at(-1)?.conversion }
  }

  const formBody = String(new URLSearchParams({ ...params(), referrer_name: 'José + Zoë' }))
  const jsonBody = { ...params(), referrer_name: 'José + Zoë', purchaseValue: 1000, goal_complete: true }
  const expected = {
    ...sampleConversion,
    referrer: { ...sampleConversion.referrer, name: 'José + Zoë' },
    params: expect.any(Object) as object,
  }

  describe.each(Object.entries(all))('behind %s', (_parser, parser) => {
    test.each([
      ['a form', form(formBody)],
      ['JSON', json(jsonBody)],
      ['+json', json(jsonBody, 'application/vnd.referrals+json')],
    ])('%s becomes the same conversion as without', async (_kind, sent) => {
      const { call, last } = await start(parser)
      expect((await call(sent)).body).toBe('{"outcome":"accepted"}')
      expect(last()).toMatchObject(expected)
      expect((await call({ ...sent, method: 'PUT' })).body).toBe('{"outcome":"duplicate"}')
    })

    test('a callback in the query is read beside an empty body, and beside one with none of the ten', async () => {
      const { call } = await start(parser)
      expect((await call({ method: 'POST', headers: { 'Content-Length': 0 } }, query())).status).toBe(200)
      for (const sent of [form('', 'text/plain'), form(''), json({}), form('a=1'), json({ a: 1 })]) {
        expect((await call(sent, query())).body).toBe('{"outcome":"duplicate"}')
      }
    })

    test('a body with none of the ten, and none in the query, is 422 and never a hang', async () => {
      const { call } = await start(parser)
      for (const sent of [form(''), json({}), json([]), form('a=1')]) expect((await call(sent)).status).toBe(422)
    })

    test('a name repeated with the same text is one, with another text unreadable', async () => {
      const { call, last } = await start(parser)
      expect((await call(form(`${formBody}&orderID=ASDXXXXX`))).status).toBe(200)
      expect(last()?.orderId).toBe('ASDXXXXX')
      expect((await call(form(`${formBody}&orderID=B-2`))).status).toBe(400)
    })

    test('brackets never make an object or a list of one of the ten', async () => {
      const { call, last } = await start(parser)
      const bare = String(new URLSearchParams(params({ orderID: undefined, referee_email: undefined })))
      for (const odd of ['orderID[]=A-1', 'orderID[a]=A-1', 'orderID[a][b]=A-1', 'orderID[0]=A-1']) {
        expect((await call(form(`${bare}&${odd}`))).status).toBe(422)
      }
      expect(last()).toBeUndefined()
      expect((await call(form(`${formBody}&a[b]=1&__proto__[c]=2&constructor[d]=3`))).status).toBe(200)
      for (const value of Object.values(last()?.extra ?? {})) expect(typeof value).toBe('string')
      expect({}).not.toHaveProperty('c')
    })
  })

  test('a buffer is read in its declared charset', async () => {
    const { call, last } = await start(parsers.raw({ type: '*/*' }))
    const body = Buffer.from(`${formBody}&note=José`, 'latin1')
    expect((await call(form(body, 'application/x-www-form-urlencoded; charset=windows-1252'))).status).toBe(200)
    expect(last()?.extra.note).toBe('José')
  })

  test('a text or buffer of another content type is 415', async () => {
    for (const parser of [parsers.raw({ type: '*/*' }), parsers.text({ type: '*/*' })]) {
      const { call } = await start(parser)
      expect(problemOf(await call(form(formBody, 'text/plain')))).toMatchObject({ status: 415 })
    }
  })

  test('a list is no callback, and JSON under a type of its own is one where its parser took it', async () => {
    const anyType = (parsers as { json(options: object): Parser }).json({ type: '*/*' })
    const { call, last } = await start(anyType)
    expect((await call(json([1, 2]))).status).toBe(422)
    expect((await call(json(jsonBody, 'text/plain'))).status).toBe(200)
    expect(last()).toMatchObject(expected)
  })

  test('64 KiB are the limit behind a parser with a higher one, too', async () => {
    const { call, last } = await start((parsers.text as (options: object) => Parser)({ type: '*/*', limit: '1mb' }))
    const padded = (length: number) => form(formBody.padEnd(length, '&'))
    expect((await call(padded(64 * 1024 + 1))).status).toBe(413)
    expect(last()).toBeUndefined()
    expect((await call(padded(64 * 1024))).status).toBe(200)
  })

  test('100 parameters and 16,384 characters are the limit behind a parser that takes megabytes', async () => {
    const large = 7 * 1024 * 1024
    const taken = parsers as { json(options: object): Parser; urlencoded(options: object): Parser }
    const { call, last } = await start(taken.json({ limit: '10mb' }))
    const values: readonly (readonly [unknown, string])[] = [
      ['x'.repeat(large), 'size'],
      [{ deep: { deeper: ['x'.repeat(large)] } }, 'size'],
      [Object.fromEntries(Array.from({ length: 50_000 }, (_, at) => [`name${String(at)}`, at])), 'size'],
      [Array(100_000).fill(null), 'count'],
      [[Array(100_000).fill(0)], 'count'],
    ]
    for (const [value, rule] of values) {
      for (const name of ['note', 'referrer_customValue']) {
        const reply = await call(json({ ...jsonBody, [name]: value }))
        expect(problemOf(reply)).toMatchObject({ status: 400, issues: [{ rule }] })
        expect(reply.body.length).toBeLessThan(500)
      }
    }
    expect(last()).toBeUndefined()

    const behindForm = await start(taken.urlencoded({ extended: true, limit: '10mb', parameterLimit: 100_000 }))
    for (const [more, rule] of [
      [`&note=${'x'.repeat(large)}`, 'size'],
      ['&a=1'.repeat(1_000), 'count'],
    ] as const) {
      expect(problemOf(await behindForm.call(form(formBody + more)))).toMatchObject({ status: 400, issues: [{ rule }] })
    }
  })

  test('a stream that somebody else has read is no body, and the query is read', async () => {
    const consume: Parser = (req: NodeJS.ReadableStream, _res, next) => {
      req.on('end', () => {
        next()
      })
      req.resume()
    }
    const { call } = await start(consume)
    expect((await call(form(formBody), query())).body).toBe('{"outcome":"accepted"}')
    expect((await call(form(formBody))).status).toBe(422)
    expect((await call(form(formBody, 'multipart/form-data; boundary=x'), query())).body).toBe(
      '{"outcome":"duplicate"}',
    )
  })

  test('a stream that somebody else has paused is read', async () => {
    const pause: Parser = (req: NodeJS.ReadableStream, _res, next) => {
      req.pause()
      next()
    }
    const { call } = await start(pause)
    expect((await call(form(formBody))).body).toBe('{"outcome":"accepted"}')
  })

  test('a stream that somebody else is still reading is no body either', async () => {
    const read: Parser = (req: NodeJS.ReadableStream, _res, next) => {
      req.once('data', () => {
        next()
      })
    }
    const { call } = await start(read)
    expect((await call(form(formBody), query())).body).toBe('{"outcome":"accepted"}')
  })
})
