import express from 'express'
import type { IncomingMessage, RequestListener } from 'node:http'
import { conversionWebhook, type Conversion } from '../../lib/index.js'
import { cli } from '../support/cli.js'
import { closeServers, listen } from '../support/servers.js'

const secret = 'a-secret-of-the-tests'
afterEach(closeServers)

interface Sent {
  readonly sent: number
  readonly conversions: number
  readonly answers: Readonly<Record<string, number>>
  readonly latencyMs: Readonly<Record<string, number>>
  readonly seed: number
  readonly callbacks?: readonly { readonly params: Readonly<Record<string, string>>; readonly answer: string }[]
}

async function startShop() {
  const told: [string, Conversion][] = []
  const tell = (event: string) => (conversion: Conversion) => void told.push([event, conversion])
  const webhook = conversionWebhook(
    {
      onSuccess: tell('success'),
      onFail: tell('fail'),
      onPending: tell('pending'),
      onGoalComplete: tell('goalComplete'),
    },
    { secret },
  )
  const { url } = await listen(express().use('/webhook', webhook) as RequestListener)
  const send = async (...argv: string[]) =>
    JSON.parse((await cli(['send', `${url}/webhook/${secret}`, '--json', ...argv])).out) as Sent
  return { base: `${url}/webhook`, url: `${url}/webhook/${secret}`, webhook, told, send }
}

/** Starts a server and records each request as it was sent. */
async function startWitness(status = 200) {
  const seen: { req: IncomingMessage; body: string }[] = []
  const { url } = await listen((req, res) => {
    let body = ''
    req.setEncoding('utf8').on('data', (chunk: string) => (body += chunk))
    req.on('end', () => {
      seen.push({ req, body })
      res.writeHead(status, { 'Content-Type': 'application/json' }).end('{"outcome":"accepted"}')
    })
  })
  return { url, seen }
}

test('one dummy conversion reaches its handler, and the answer is shown', async () => {
  const { url, told } = await startShop()
  const { out, err, exitCode } = await cli(['send', url, '--seed', '7'])
  expect({ err, exitCode }).toEqual({ err: '', exitCode: 0 })
  expect(out).toMatch(/^200 accepted {4}success {2}DEMO-7-1 {2}[\d,]+ ms\n$/)
  expect(told.map(([event, { orderId, goalComplete }]) => [event, orderId, goalComplete])).toEqual([
    ['success', 'DEMO-7-1', false],
  ])
})

test('the same seed makes the same callbacks, and another makes others', async () => {
  const { send, told } = await startShop()
  const { callbacks: first, answers } = await send('--seed', '1', '--burst', '3')
  expect(answers).toEqual({ '200 accepted': 3 })
  const { callbacks: again, answers: repeated } = await send('--seed', '1', '--burst', '3')
  expect(again?.map(({ params }) => params)).toEqual(first?.map(({ params }) => params))
  expect(repeated).toEqual({ '200 duplicate': 3 })
  expect((await send('--seed', '2', '--burst', '3')).answers).toEqual({ '200 accepted': 3 })
  expect(told).toHaveLength(6)
})

test("a referrer's n-th conversion completes the goal", async () => {
  const { send, told } = await startShop()
  await send('--burst', '6', '--goal', '3', '--seed', '1')
  const goals = told.filter(([event]) => event === 'goalComplete').map(([, conversion]) => conversion)
  expect(goals.map(({ orderId, referrer }) => [orderId, referrer.conversions])).toEqual([
    ['DEMO-1-3', 3],
    ['DEMO-1-6', 3],
  ])
  const referrers = told.filter(([event]) => event === 'success').map(([, { referrer }]) => referrer.email)
  expect(new Set(referrers.slice(0, 3)).size).toBe(1)
  expect(referrers[3]).not.toBe(referrers[0])
})

test('repeats in random order make each conversion once', async () => {
  const { send, told } = await startShop()
  const argv = ['--burst', '200', '--repeat', '3', '--out-of-order', '--goal', '2', '--parallel', '8']
  const { sent, answers, latencyMs, callbacks } = await send(...argv)
  expect(sent).toBe(1_200) // each as pending and as success, three times
  expect(Object.keys(answers).sort()).toEqual(['200 accepted', '200 duplicate', '200 stale'])
  expect(callbacks).toBeUndefined()
  expect(Object.keys(latencyMs)).toEqual(['median', 'p95', 'p99', 'longest'])
  const count = (event: string) => told.filter(([is]) => is === event).length
  expect([count('success'), count('goalComplete')]).toEqual([200, 100])
  expect(count('pending')).toBe((answers['200 accepted'] ?? 0) - 200)
})

test('every status can be sent, and a mixture', async () => {
  const { send, told } = await startShop()
  await send('--status', 'fail')
  await send('--status', 'pending')
  expect(told.map(([event]) => event)).toEqual(['fail', 'pending'])
  const { callbacks } = await send('--status', 'mixed', '--burst', '20', '--seed', '3')
  expect(new Set(callbacks?.map(({ params }) => params.conversion))).toEqual(new Set(['success', 'fail', 'pending']))
})

test('names arrive in every script as they were made', async () => {
  const { send, told } = await startShop()
  const { callbacks } = await send('--burst', '20')
  const names = callbacks?.map(({ params }) => params.referrer_name)
  expect(told.map(([, { referrer }]) => referrer.name)).toEqual(names)
  expect(new Set(names).size).toBe(20)
  expect(names?.join('')).toMatch(/\p{sc=Arabic}[^]*\p{sc=Han}|\p{sc=Han}[^]*\p{sc=Arabic}/u)
  expect(told.flatMap(([, { repairs }]) => repairs)).toEqual([])
})

test.each([
  ['GET', undefined, undefined],
  ['POST', undefined, 'application/x-www-form-urlencoded'],
  ['PUT', 'form', 'application/x-www-form-urlencoded'],
  ['POST', 'json', 'application/json'],
])('%s %s is sent with that method and format', async (method, format, type) => {
  const { url, seen } = await startWitness()
  const argv = ['send', `${url}/hook?a=1`, '--method', method, '--set', 'orderID=A&B 1', '--set', 'x=y=z']
  const { exitCode } = await cli(format === undefined ? argv : [...argv, '--format', format])
  expect(exitCode).toBe(0)
  const [{ req, body } = { req: undefined, body: '' }] = seen
  expect(req?.method).toBe(method)
  expect(req?.headers['content-type']).toBe(type)
  const target = new URL(req?.url ?? '', url)
  expect(target.searchParams.get('a')).toBe('1')
  const params =
    format === 'json'
      ? (JSON.parse(body) as Record<string, string>)
      : Object.fromEntries(type === undefined ? target.searchParams : new URLSearchParams(body))
  expect(params).toMatchObject({ orderID: 'A&B 1', x: 'y=z', conversion: 'success' })
})

test.each([
  ['--user', ['--user', `me:${secret}`]],
  ['a header', ['--header', `X-Webhook-Secret: ${secret}`]],
])('the credential can be %s', async (_name, argv) => {
  const { base, told } = await startShop()
  expect((await cli(['send', base, ...argv])).exitCode).toBe(0)
  expect(told).toHaveLength(1)
})

test('the credential can stand in the URL', async () => {
  const { base, told } = await startShop()
  const url = new URL(base)
  url.username = 'me'
  url.password = secret
  expect((await cli(['send', url.href])).exitCode).toBe(0)
  expect(told).toHaveLength(1)
})

test('a wrong secret is printed, and the exit code is 1', async () => {
  const { base, told } = await startShop()
  const { exitCode, out } = await cli(['send', base, '--user', 'me:another secret than this'])
  expect({ exitCode, told }).toEqual({ exitCode: 1, told: [] })
  expect(out).toMatch(/^401 ERR_CONVERSION_CREDENTIAL_REJECTED {2}/)
})

test('a refused connection is printed, and the exit code is 1', async () => {
  const listening = await listen(() => undefined)
  await listening.close()
  const { url } = listening
  const { exitCode, out } = await cli(['send', url, '--burst', '30'])
  expect(exitCode).toBe(1)
  expect(out).toContain('no answer: ECONNREFUSED        30\n')
})

test('an answer after the time limit counts as none', async () => {
  const { url } = await listen(() => undefined)
  expect((await cli(['send', url, '--timeout', '20'])).out).toMatch(/^no answer: ETIMEDOUT {2}/)
})

test('an answer that never ends counts as none', async () => {
  const { url } = await listen((_req, res) => {
    res.writeHead(200)
    const drip = setInterval(() => res.write('x'), 5)
    res.on('close', () => {
      clearInterval(drip)
    })
  })
  expect((await cli(['send', url, '--timeout', '60'])).out).toMatch(/^no answer: ETIMEDOUT {2}/)
})

test('a redirect is not followed, and only a plain word of an answer is printed', async () => {
  for (const body of ['{"outcome":"\x1b[31mred"}', '{"outcome":5}', 'null', 'x'.repeat(1_000_000)]) {
    const { url } = await listen((_req, res) => res.writeHead(302, { Location: '/x' }).end(body))
    const { exitCode, out } = await cli(['send', url])
    expect({ exitCode, out }).toEqual({ exitCode: 1, out: expect.stringMatching(/^302 {13}success/) as string })
  }
})

describe('a long run', () => {
  const argv = ['--burst', '300', '--parallel', '4', '--seed', '1']

  test('shows its progress at a terminal, and a summary', async () => {
    const { url } = await startWitness()
    const { out, err } = await cli(['send', url, ...argv], { isTerminal: true, env: { NO_COLOR: '1' } })
    expect(err).toMatch(/^(\r[█░]{30} [\d,]+ of 300\x1b\[K)+\r\x1b\[K$/)
    expect(out).toMatch(/^300 callbacks of 300 conversions in [\d.]+ s, [\d,]+ a second\n {2}200 accepted {7}300\n/)
    expect(out).toMatch(/latency in ms: median [\d.]+, 95 % [\d.]+, 99 % [\d.]+, longest [\d.,]+\n.*--seed 1\n$/)
  })

  test('shows no progress outside a terminal', async () => {
    const { url } = await startWitness()
    expect((await cli(['send', url, ...argv])).err).toBe('')
  })

  test('is not faster than its rate', async () => {
    const { url, seen } = await startWitness()
    const startedAt = performance.now()
    await cli(['send', url, '--burst', '21', '--rate', '100'])
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(199) // the last one starts 20 / 100 s after the first
    expect(seen).toHaveLength(21)
  })

  test('ends when it is interrupted, and prints how much it has sent', async () => {
    const interruption = new AbortController()
    const { url } = await listen((_req, res) => {
      interruption.abort()
      res.end()
    })
    const { exitCode, out } = await cli(['send', url, ...argv], { interrupted: interruption.signal })
    expect(exitCode).toBe(1)
    expect(out).toMatch(/^[1-9]\d? callbacks of 300/)
  })
})

describe('broken requests', () => {
  test('get the expected answers from the webhook, and no handler runs', async () => {
    const { url, webhook, told } = await startShop()
    const { exitCode, out } = await cli(['send', url, '--broken'])
    expect(out).not.toContain('✗')
    expect({ exitCode, lines: out.trim().split('\n').length, told }).toEqual({ exitCode: 0, lines: 22, told: [] })
    expect((await webhook.inbox.stats()).callbacks).toMatchObject({ accepted: 0, refused: 13 })
  })

  test('exit with 1 when an answer is unexpected', async () => {
    const { url } = await startWitness()
    const { exitCode, out } = await cli(['send', url, '--broken', '--json'])
    const { results } = JSON.parse(out) as { results: { kind: string; isAsExpected: boolean }[] }
    expect(exitCode).toBe(1)
    expect(results.filter(({ isAsExpected }) => isAsExpected).map(({ kind }) => kind)).toEqual(['cut-off'])
    expect(results.map(({ kind }) => kind)).not.toContain('forged') // there is no credential to forge
  })

  test('print the expected answer beside an unexpected one', async () => {
    const { url } = await startWitness()
    const { out } = await cli(['send', url, '--broken', 'placeholder'], { isTerminal: true })
    expect(out).toBe(
      '\x1b[31m✗\x1b[39m placeholder     200 accepted  (a template that was not filled in; expected 422)\n',
    )
    const interrupted = await cli(['send', url, '--broken'], { interrupted: AbortSignal.abort() })
    expect(interrupted).toMatchObject({ exitCode: 1, out: '' })
  })

  test('can be of one kind only', async () => {
    const { url } = await startShop()
    const { exitCode, out } = await cli(['send', url, '--broken', 'bad-goal'])
    expect(exitCode).toBe(0)
    expect(out).toBe('✓ bad-goal        422 ERR_CONVERSION_CALLBACK_REFUSED  (a goal that is neither 0 nor 1)\n')
  })

  test.each([
    ['the path', '', []],
    ['the query', '?token=', []],
    ['Basic', undefined, ['--user', `me:${secret}`]],
    ['a header', undefined, ['--header', `x-webhook-secret: ${secret}`]],
    ['Bearer', undefined, ['--header', `Authorization: Bearer ${secret}`]],
  ])('forge a secret in %s', async (_place, mark, argv) => {
    const { base } = await startShop()
    const url = mark === undefined ? base : mark === '' ? `${base}/${secret}` : `${base}${mark}${secret}`
    const { out } = await cli(['send', url, '--broken', 'forged', ...argv])
    expect(out).toMatch(/^✓ forged {10}40[14] /)
  })
})
