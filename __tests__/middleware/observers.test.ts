import { format } from 'node:util'
import { memoryInbox, type Inbox } from '../../lib/index.js'
import { startApp } from '../support/app.js'
import { params, sampleConversion } from '../support/callbacks.js'
import { form, problemOf } from '../support/client.js'
import { unkindErrors } from '../support/errors.js'
import { closeServers } from '../support/servers.js'

/* Observers are told and never asked: what they get, and that nothing they do changes an answer. */

afterEach(closeServers)

const fail = () => {
  throw new Error('no mail server')
}

test('onRefused gets what was received, by wire name, and what is wrong with it', async () => {
  const told: unknown[] = []
  const before = Date.now()
  const { call } = await startApp(
    { onRefused: (refused) => told.push(refused) },
    { scope: 'summer', fields: { orderID: 'order_no' } },
  )
  const body = String(
    new URLSearchParams({ ...params({ orderID: undefined }), order_no: 'A-1', purchaseValue: '1,00' }),
  )
  expect((await call({}, form(`${body}&utm=mail`))).status).toBe(422)
  expect(told).toEqual([
    {
      code: 'ERR_CONVERSION_CALLBACK_REFUSED',
      status: 422,
      issues: [
        {
          parameter: 'purchaseValue',
          rule: 'pattern',
          message:
            'purchaseValue must be a plain decimal number of at most 15 significant digits, such as 1000 or 12.30',
        },
      ],
      // The unknown orderID of the query is there too: orders are renamed here.
      params: { ...params({ purchaseValue: '1,00' }), order_no: 'A-1', utm: 'mail' },
      scope: 'summer',
      receivedAt: expect.any(Date) as Date,
      id: expect.stringMatching(/^refused:[0-9a-f]{40}$/) as string,
    },
  ])
  const [{ receivedAt }] = told as [{ receivedAt: Date }]
  expect(receivedAt.getTime()).toBeGreaterThanOrEqual(before)
  expect(receivedAt.getTime()).toBeLessThanOrEqual(Date.now())
})

test('onConflict gets the conversion that arrived, what is recorded, and why the two differ', async () => {
  const told: unknown[] = []
  const { call, webhook } = await startApp({ onConflict: (conflict) => told.push(conflict) })
  await webhook.accept(params({ goal_complete: '0' }))
  expect((await call({ purchaseValue: '9' })).status).toBe(409)
  const [conflict] = await webhook.inbox.list({ state: 'conflict' })
  expect(told).toEqual([
    {
      id: conflict?.id,
      conversion: {
        ...sampleConversion,
        params: params({ purchaseValue: '9' }),
        purchaseValue: 9,
        receivedAt: expect.any(Date) as Date,
      },
      recorded: { status: 'success', goalComplete: false },
      differs: [{ parameter: 'purchaseValue', recorded: '1000', received: '9' }],
    },
  ])
})

test('onError gets the failure of scope, which is answered with 500 and delivers nothing', async () => {
  const told: unknown[] = []
  const events: string[] = []
  const scopes = [fail, () => Promise.reject(new Error('no database')), () => 7] as unknown as (() => string)[]
  const { call } = await startApp(
    { onError: (failure) => told.push(failure), onSuccess: () => void events.push('success') },
    { scope: () => (scopes.shift() ?? fail)() },
  )
  const replies = [await call(), await call(), await call()]
  expect(replies.map(({ status }) => status)).toEqual([500, 500, 500])
  expect(told).toEqual([
    { stage: 'scope', error: new Error('no mail server') },
    { stage: 'scope', error: new TypeError('scope must return its result, not a promise.') },
    { stage: 'scope', error: new TypeError('scope must return a string without NUL characters, not number.') },
  ])
  expect(events).toEqual([])
})

test('onError gets the failure of an inbox, whether it throws or rejects', async () => {
  const told: unknown[] = []
  for (const accept of [fail, () => Promise.reject(new Error('no mail server'))]) {
    const inbox: Inbox<undefined> = Object.assign(memoryInbox(), { accept })
    const { call } = await startApp({ onError: (failure) => told.push(failure) }, { inbox })
    expect(problemOf(await call())).toMatchObject({ status: 503, code: 'ERR_CONVERSION_INBOX_UNAVAILABLE' })
  }
  expect(told).toEqual(Array(2).fill({ stage: 'inbox', error: new Error('no mail server') }))
})

test('onError gets a fault of the package, which is answered with 500 and blames no disk', async () => {
  const told: unknown[] = []
  const fault = new TypeError("Cannot read properties of undefined (reading 'deliveries')")
  const inbox: Inbox<undefined> = Object.assign(memoryInbox(), { accept: () => Promise.reject(fault) })
  const { call, webhook } = await startApp({ onError: (failure) => told.push(failure) }, { inbox })
  const reply = await call()
  expect(problemOf(reply)).toMatchObject({ status: 500, code: 'ERR_CONVERSION_INTERNAL' })
  expect(reply.headers['retry-after']).toBeUndefined()
  await expect(webhook.accept(params())).rejects.toMatchObject({ code: 'ERR_CONVERSION_INTERNAL', cause: fault })
  expect(told).toEqual(Array(2).fill({ stage: 'internal', error: fault }))
})

test('onRefused is told of what could not be kept, without an id', async () => {
  const told: object[] = []
  const inbox: Inbox<undefined> = Object.assign(memoryInbox(), {
    quarantine: () => Promise.reject(new Error('disk full')),
  })
  const { call } = await startApp({ onRefused: (refused) => told.push(refused) }, { inbox })
  expect((await call({ conversion: 'maybe' })).status).toBe(503)
  expect(told).toEqual([expect.objectContaining({ code: 'ERR_CONVERSION_CALLBACK_REFUSED', status: 422 })])
  expect(told[0]).not.toHaveProperty('id')
})

describe('an observer that fails', () => {
  const observers = { onRefused: fail, onConflict: () => Promise.reject(new Error('no mail server')), onError: fail }

  test('is printed, warned of once, and changes no answer', async () => {
    const print = jest.spyOn(console, 'error').mockImplementation()
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation()
    try {
      const { call } = await startApp({
        ...observers,
        onSuccess(_conversion, { attempt }) {
          if (attempt === 1) throw new Error('no stock')
        },
      })
      expect((await call()).status).toBe(500)
      expect((await call()).body).toBe('{"outcome":"accepted"}')
      expect((await call({ purchaseValue: '9' })).status).toBe(409)
      expect((await call({ conversion: 'maybe' })).status).toBe(422)
      expect(print.mock.calls).toEqual(
        ['onError', 'onConflict', 'onRefused'].map((name) => [
          `conversion-webhook: ${name} failed:`,
          new Error('no mail server'),
        ]),
      )
      expect(warn.mock.calls).toEqual([
        [
          'onError failed; an observer must not throw.',
          { type: 'ConversionWebhookWarning', code: 'WRN_CONVERSION_OBSERVER_FAILED' },
        ],
      ])
    } finally {
      print.mockRestore()
      warn.mockRestore()
    }
  })

  test('is not waited for', async () => {
    const { call } = await startApp({ onRefused: () => new Promise(() => undefined) })
    expect((await call({ conversion: 'maybe' })).status).toBe(422)
  })
})

test.each(unkindErrors().map((error, index) => [index, error]))(
  'an error that cannot be printed ends nothing (%i)',
  async (_index, thrown) => {
    const print = jest.spyOn(console, 'error').mockImplementation((...parts) => void format(...parts))
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation()
    try {
      const fail = () => {
        throw thrown
      }
      const { call } = await startApp({ onSuccess: fail, onRefused: fail, onError: undefined as never })
      expect((await call()).status).toBe(500)
      expect((await call({ conversion: 'maybe' })).status).toBe(422)
      expect((await call({ conversion: 'fail' })).status).toBe(200)
    } finally {
      warn.mockRestore()
      print.mockRestore()
    }
  },
)

test('without onError a failure is printed', async () => {
  const print = jest.spyOn(console, 'error').mockImplementation()
  try {
    const { call } = await startApp({
      onSuccess: () => Promise.reject(new Error('no stock')),
      onError: undefined as never,
    })
    expect((await call()).status).toBe(500)
    expect(print.mock.calls).toEqual([['conversion-webhook: handler failed:', new Error('no stock')]])
  } finally {
    print.mockRestore()
  }
})
