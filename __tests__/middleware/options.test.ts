import connect from 'connect'
import express from 'express'
import express4 from 'express4'
import type { RequestListener, ServerResponse } from 'node:http'
import { conversionWebhook, isConversionWebhookError, memoryInbox } from '../../lib/index.js'
import { query, secret } from '../support/callbacks.js'
import { send } from '../support/client.js'
import { withEnvironment } from '../support/recorder.js'
import { closeServers, listen } from '../support/servers.js'

/* What cannot work throws while the app is put together: each fault with its code and a sentence that ends in the fix. */

/** The factory as a program without types calls it. */
const make = conversionWebhook as unknown as (
  handlers?: unknown,
  options?: unknown,
) => ReturnType<typeof conversionWebhook>

function expectFault(build: () => unknown, code: string, message: RegExp): void {
  let thrown: unknown
  try {
    build()
  } catch (error) {
    thrown = error
  }
  if (!isConversionWebhookError(thrown)) throw new Error('no coded error was thrown', { cause: thrown })
  expect(thrown.code).toBe(code)
  expect(thrown.message).toMatch(message)
  expect(thrown.status).toBeUndefined()
}

describe('handlers', () => {
  test.each([[undefined], [null], [7], ['onSuccess'], [() => undefined], [[]]])(
    '%p is no object of them',
    (handlers) => {
      expectFault(
        () => make(handlers, { secret: false }),
        'ERR_CONVERSION_HANDLERS_INVALID',
        /takes an object of handlers first/,
      )
    },
  )

  test.each([
    ['onSucess', 'onSuccess'],
    ['onGoalcomplete', 'onGoalComplete'],
    ['onRefuse', 'onRefused'],
    ['goalComplete', 'onGoalComplete'],
    ['secret', 'onDead'],
  ])('%s is none of them', (name, near) => {
    const code = 'ERR_CONVERSION_HANDLER_UNKNOWN'
    const message =
      name === 'secret'
        ? /^secret is an option, and options come second: conversionWebhook\(\{ .* \}, \{ secret \}\)\.$/
        : new RegExp(`did you mean ${near}\\?`)
    expectFault(() => make({ [name]: () => undefined }, { secret: false }), code, message)
  })

  test.each(['onSuccess', 'onFail', 'onPending', 'onGoalComplete', 'onRefused', 'onConflict', 'onDead', 'onError'])(
    '%s must be a function, or left out',
    (name) => {
      for (const value of [null, 'log', {}, 0]) {
        const message = new RegExp(`^${name} must be a function of .*, not (null|a string|an object|0)\\.$`)
        expectFault(() => make({ [name]: value }, { secret: false }), 'ERR_CONVERSION_HANDLER_INVALID', message)
      }
      expect(() => make({ [name]: undefined }, { secret: false })).not.toThrow()
    },
  )
})

describe('handlers of a class', () => {
  class Rewards {
    readonly paid: (string | undefined)[] = []
    readonly currency = 'EUR'
    onSuccess({ orderId }: { orderId?: string }): void {
      this.paid.push(orderId)
    }
  }
  class MoreRewards extends Rewards {
    readonly refused: string[] = []
    onGoalComplete(): void {
      this.onSuccess({ orderId: this.currency })
    }
    onRefused({ code }: { code: string }): void {
      this.refused.push(code)
    }
  }

  test('keep their this, inherited ones too', async () => {
    const rewards = new MoreRewards()
    const webhook = conversionWebhook(rewards, { secret: false })
    await webhook.accept(query())
    await webhook.accept({})
    expect(rewards).toMatchObject({ paid: ['ASDXXXXX', 'EUR'], refused: ['ERR_CONVERSION_CALLBACK_REFUSED'] })
  })

  test('are checked like those of a plain object', () => {
    class Misspelt extends Rewards {
      onSucess(): void {
        this.paid.pop()
      }
    }
    const code = 'ERR_CONVERSION_HANDLER_UNKNOWN'
    expectFault(() => make(new Misspelt(), { secret: false }), code, /did you mean onSuccess\?$/)
  })

  test.each([
    ['a promise', Promise.resolve({ onSuccess: () => undefined })],
    ['a map', new Map()],
    ['a date', new Date()],
  ])('are not those of %s', (_what, handlers) => {
    const message = /takes an object of handlers first.*, not (a promise|an object of a class without handlers)\.$/
    expectFault(() => make(handlers, { secret: false }), 'ERR_CONVERSION_HANDLERS_INVALID', message)
  })

  test('an object without a prototype is a plain one', async () => {
    const told: unknown[] = []
    const handlers = Object.assign(Object.create(null), { onSuccess: () => told.push(1) }) as object
    await make(handlers, { secret: false }).accept(query())
    expect(told).toEqual([1])
  })
})

describe('the factory passed uncalled', () => {
  afterEach(closeServers)

  const uncalled = conversionWebhook as unknown as Parameters<typeof conversionWebhook>[0] & (() => void)

  /** Tells of an error as an app's error handler does. */
  const catcher =
    (tell: (error: unknown) => void) =>
    (error: unknown, _req: unknown, res: ServerResponse, next: (error?: unknown) => void): void => {
      tell(error)
      if (res.headersSent) next(error)
      else res.end()
    }

  test.each<[string, (tell: (error: unknown) => void) => RequestListener]>([
    ['Express 5', (tell) => express().use('/webhook', uncalled).use(catcher(tell)) as RequestListener],
    ['Express 4', (tell) => express4().use('/webhook', uncalled).use(catcher(tell)) as RequestListener],
    ['Connect 3', (tell) => connect().use('/webhook', uncalled).use(catcher(tell))],
  ])('says so at the first request under %s', async (_name, mount) => {
    const errors: unknown[] = []
    const { port } = await listen(mount((error) => errors.push(error)))
    await send(port, '/webhook')
    expect(errors).toEqual([expect.objectContaining({ code: 'ERR_CONVERSION_FACTORY_UNCALLED' })])
    expect(String(errors[0])).toContain("write app.use('/webhook', conversionWebhook({ … })).")
  })
})

describe('options', () => {
  test.each([[null], [7], ['secret'], [[]], [() => undefined]])('%p is no object of them', (options) => {
    expectFault(() => make({}, options), 'ERR_CONVERSION_OPTION_INVALID', /second argument .* an object of options/)
  })

  test.each([
    ['secrets', 'secret'],
    ['handlerTimeout', 'handlerTimeoutMs'],
    ['scrubURL', 'scrubUrl'],
    ['allowedFrom', 'allowFrom'],
    ['parseCustomvalue', 'parseCustomValue'],
    ['onConfirm', 'confirm'],
  ])('%s is none of them', (name, near) => {
    const message = `^There is no option ${name}; did you mean ${near}\\?$`
    expectFault(() => make({}, { secret: false, [name]: true }), 'ERR_CONVERSION_OPTION_UNKNOWN', new RegExp(message))
  })

  const number = /^\w+ must be a whole number from 1 to \d+, not .+\.$/
  const boolean = /^(respond|scrubUrl) must be true or false, not .+\.$/

  test.each<[string, unknown[], RegExp]>([
    ['handlerTimeoutMs', [0, -1, 1.5, Number.NaN, Infinity, '30', null, 2_147_483_648], number],
    ['closeTimeoutMs', [0, -1, 1.5, Infinity, 2_147_483_648], number],
    ['maxAttempts', [0, 1.5, '12', Infinity, 1_001], number],
    ['concurrency', [0, -1, Infinity, 10_001], number],
    ['maxHoldMs', [0, '7d', 2 ** 53], number],
    ['respond', [0, 'false', null, () => true], boolean],
    ['scrubUrl', [1, 'true', null], boolean],
    ['confirm', [true, 'hold', null], /^confirm must be a function, not (true|a string|null)\.$/],
    [
      'parseCustomValue',
      [JSON, 'json', null],
      /^parseCustomValue must be a function, not (an object|a string|null)\.$/,
    ],
    [
      'scope',
      [7, null, ['summer'], true, 'a\0'],
      /^scope must be a string without NUL characters, or a function of the request/,
    ],
    ['statuses', [null, 7, ['approved']], /^statuses must map foreign words to statuses/],
    [
      'statuses',
      [{ approved: 'ok' }, { approved: undefined }],
      /^statuses\.approved must be success, fail or pending\.$/,
    ],
    ['statuses', [{ Success: 'fail' }], /^statuses\.Success must be left out: it is a status already/],
    [
      'statuses',
      [{ Done: 'success', 'done ': 'fail' }],
      /^statuses\.done {2}must mean what the same word in other letters means\.$/,
    ],
    ['allowFrom', [[]], /^allowFrom must name an address: with an empty array nobody could call\.$/],
    [
      'fields',
      [null, 7, ['orderID'], { orderID: '' }, { orderID: [7] }, { orderID: [] }],
      /^fields must map documented names to wire names/,
    ],
    ['fields', [{ orderId: 'order' }], /^fields must name parameters as they are documented: orderID, not orderId\.$/],
    ['fields', [{ orderID: 'conversion' }, { orderID: 'a', referee_name: ['b', 'a'] }], /stands for two parameters\.$/],
    [
      'allowFrom',
      ['localhost', '203.0.113.0/33', '::/129', '1.2.3', '1.2.3.4/', ['::1', ''], [7], null, {}, true],
      /^allowFrom must list IPv4/,
    ],
  ])('%s refuses what cannot work', (name, values, message) => {
    for (const value of values) {
      expectFault(() => make({}, { secret: false, [name]: value }), 'ERR_CONVERSION_OPTION_INVALID', message)
    }
  })

  test('secret refuses what is no text', () => {
    for (const value of [true, 7, {}, [7]]) {
      const message = /^secret must be a string, an array of strings, or false\.$/
      expectFault(() => make({}, { secret: value }), 'ERR_CONVERSION_OPTION_INVALID', message)
    }
  })

  test.each([[true], [[]], [{ type: 'nothing' }], [{ $async: true }], [{ properties: { a: { pattern: '(' } } }]])(
    'schema %j does not compile',
    (schema) => {
      const message = /^schema (must be a synchronous JSON Schema object|does not compile: )/
      expectFault(() => make({}, { secret: false, schema }), 'ERR_CONVERSION_SCHEMA_INVALID', message)
    },
  )

  test.each([[null], ['memory'], [memoryInbox], [{ accept: () => undefined }]])('inbox %p is none', (inbox) => {
    expectFault(
      () => make({}, { secret: false, inbox }),
      'ERR_CONVERSION_INBOX_INVALID',
      /such as memoryInbox\(\) or sqliteInbox\(file\), not (null|a string|a function|an object)\.$/,
    )
  })

  test('one inbox belongs to one webhook', () => {
    const inbox = memoryInbox()
    make({}, { secret: false, inbox })
    const code = 'ERR_CONVERSION_INBOX_ATTACHED'
    expectFault(
      () => make({}, { secret: false, inbox }),
      code,
      /make one inbox for each, or mount the one webhook twice\.$/,
    )
  })

  test('the parameter that may carry the secret carries nothing else', () => {
    const message = /^fields must leave token alone: while there is a secret, this parameter may carry it\.$/
    const fields = { orderID: 'token' }
    expectFault(() => make({}, { secret, fields }), 'ERR_CONVERSION_OPTION_INVALID', message)
    expect(() => make({}, { secret: false, fields })).not.toThrow()
  })

  test('two words of a status may be the same word', () => {
    expect(() => make({}, { secret: false, statuses: { done: 'success', DONE: 'success' } })).not.toThrow()
  })

  test('undefined is the same as left out', () => {
    const names = [
      'allowFrom',
      'confirm',
      'inbox',
      'scope',
      'schema',
      'fields',
      'statuses',
      'parseCustomValue',
      'respond',
    ]
    const numbers = ['scrubUrl', 'handlerTimeoutMs', 'maxAttempts', 'concurrency', 'maxHoldMs', 'closeTimeoutMs']
    const options = Object.fromEntries([...names, ...numbers].map((name) => [name, undefined]))
    expect(() => make({}, { secret: false, ...options })).not.toThrow()
  })
})

describe('the secret', () => {
  let restore: () => void
  let warn: jest.SpyInstance

  function setEnvironment(changes: Record<string, string>): void {
    restore()
    restore = withEnvironment({ CONVERSION_WEBHOOK_SECRET: undefined, NODE_ENV: 'test', ...changes })
  }

  beforeEach(() => {
    restore = () => undefined
    setEnvironment({})
    warn = jest.spyOn(process, 'emitWarning').mockImplementation()
  })

  afterEach(() => {
    restore()
    warn.mockRestore()
  })

  const warnings = () => warn.mock.calls.map(([, { code }]: [string, { code: string }]) => code)

  test.each([[''], ['   '], [[]], [['']], [[secret, '']]])('%j is empty', (value) => {
    expectFault(() => make({}, { secret: value }), 'ERR_CONVERSION_SECRET_EMPTY', /needs at least 16 characters/)
  })

  test.each([['123456789012345'], [[secret, 'short']]])('%j is too short', (value) => {
    expectFault(() => make({}, { secret: value }), 'ERR_CONVERSION_SECRET_SHORT', /at least 16 characters.*randomBytes/)
    expect(() => make({}, { secret: '1234567890123456' })).not.toThrow()
  })

  test.each([
    ['zero-width spaces', '\u200b'.repeat(16)],
    ['fillers of Hangul', '\u3164'.repeat(20)],
    ['variation selectors', '\ufe0f'.repeat(40)],
    ['blanks of Braille', '\u2800'.repeat(16)],
    ['characters for private use', '\ue000'.repeat(16)],
    ['fifteen letters and blanks between them', '12345 67890\u00a0\u200b\u200d12345'],
  ])('%s make no secret any longer', (_what, value) => {
    expectFault(() => make({}, { secret: value }), 'ERR_CONVERSION_SECRET_SHORT', /characters that can be seen/)
    expect(() => make({}, { secret: `${value}-1234567890-12345` })).not.toThrow()
  })

  test('stands in no scope', () => {
    const message = /^scope must hold no secret\. Where it comes from the path/
    expectFault(() => make({}, { secret, scope: `spring/${secret}` }), 'ERR_CONVERSION_OPTION_INVALID', message)
    expect(() => make({}, { secret: false, scope: `spring/${secret}` })).not.toThrow()
  })

  test.each([
    ['', 'ERR_CONVERSION_SECRET_EMPTY'],
    [`${secret},`, 'ERR_CONVERSION_SECRET_EMPTY'],
    ['short', 'ERR_CONVERSION_SECRET_SHORT'],
  ])('"%s" in the environment is refused as well', (value, code) => {
    setEnvironment({ CONVERSION_WEBHOOK_SECRET: value })
    expectFault(() => make({}), code, /at least 16 characters/)
    expect(() => make({}, { secret })).not.toThrow()
    expect(() => make({}, { secret: false })).not.toThrow()
  })

  test('is warned of once a webhook where there is none', () => {
    make({})
    expect(warnings()).toEqual(['WRN_CONVERSION_SECRET_MISSING'])
    make({}, { secret: undefined })
    make({}, { secret: false })
    make({}, { secret })
    expect(warnings()).toEqual(['WRN_CONVERSION_SECRET_MISSING', 'WRN_CONVERSION_SECRET_MISSING'])
  })

  test('missing in production throws and names the three ways out', () => {
    setEnvironment({ NODE_ENV: 'production' })
    const ways = /CONVERSION_WEBHOOK_SECRET.*the secret option.*secret: false/
    expectFault(() => make({}), 'ERR_CONVERSION_SECRET_MISSING', ways)
    expectFault(() => make({}, { secret: undefined }), 'ERR_CONVERSION_SECRET_MISSING', ways)
  })

  test('each of the three ways works in production, where the memory inbox is warned of', () => {
    setEnvironment({ NODE_ENV: 'production' })
    make({}, { secret })
    make({}, { secret: false })
    setEnvironment({ NODE_ENV: 'production', CONVERSION_WEBHOOK_SECRET: secret })
    make({})
    expect(warnings()).toEqual(Array(3).fill('WRN_CONVERSION_INBOX_VOLATILE'))
  })
})
