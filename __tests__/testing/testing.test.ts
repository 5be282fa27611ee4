import { conversionWebhook, memoryInbox, parseCallback, type Inbox } from '../../lib/index.js'
import { sqliteInbox } from '../../lib/sqlite.js'
import { callbackUrl, deliveries, sampleParams } from '../../lib/testing.js'
import { params } from '../support/callbacks.js'
import { hasSqlite, temporaryFolder } from '../support/sqlite.js'

test('sampleParams are the documented example, with parameters changed, added and left out', () => {
  expect(sampleParams()).toEqual(params())
  expect(sampleParams({ orderID: 'A-1', purchaseValue: 7, campaign: 'spring', goal_complete: undefined })).toEqual({
    ...params({ goal_complete: undefined }),
    orderID: 'A-1',
    purchaseValue: '7',
    campaign: 'spring',
  })
})

test.each([
  ['/webhook/secret', '/webhook/secret?conversion=success&'],
  ['https://shop.example/webhook?token=t', 'https://shop.example/webhook?token=t&conversion=success&'],
  [new URL('https://shop.example/webhook'), 'https://shop.example/webhook?conversion=success&'],
])('callbackUrl of %s', (base, start) => {
  expect(callbackUrl(base).startsWith(start)).toBe(true)
  expect(callbackUrl(base)).toContain('referrer_name=Robert+Downy&referrer_email=example%40gmail.com')
  expect(callbackUrl(base, { note: '*~' })).toMatch(/note=%2A%7E$/)
  expect(parseCallback(callbackUrl(base, sampleParams({ orderID: 'ä+&=*~' })))).toMatchObject({
    ok: true,
    conversion: { orderId: 'ä+&=*~' },
  })
})

const kinds: [string, (file: string) => Inbox][] = [
  ['memory', () => memoryInbox()],
  ...(hasSqlite ? [['SQLite', (file: string) => sqliteInbox(file)] as [string, (file: string) => Inbox]] : []),
]

describe.each(kinds)('deliveries of a %s inbox', (_name, open) => {
  const folder = temporaryFolder()
  afterAll(() => folder.remove())

  test('are awaited and returned', async () => {
    const told: unknown[] = []
    const onSuccess = async ({ orderId }: { orderId?: string }) => {
      await new Promise(setImmediate)
      told.push(orderId)
    }
    const webhook = conversionWebhook({ onSuccess }, { secret: false, inbox: open(folder.file('one.db')) })
    expect(await deliveries(webhook.inbox)).toEqual([])
    await webhook.accept(sampleParams({ orderID: 'A-1' }))
    expect(await deliveries(webhook.inbox)).toMatchObject([
      { state: 'done', params: { orderID: 'A-1' } },
      { state: 'done' },
    ])
    expect(told).toEqual(['A-1'])
    await webhook.close()
  })

  test('that still run are named in the error', async () => {
    let end: (() => void) | undefined
    const onSuccess = () => new Promise<void>((resolve) => (end = resolve))
    const webhook = conversionWebhook({ onSuccess }, { secret: false, inbox: open(folder.file('three.db')) })
    const accepted = webhook.accept(sampleParams({ goal_complete: 0 }))
    while (end === undefined) await new Promise(setImmediate)
    await expect(deliveries(webhook.inbox, { timeoutMs: 10 })).rejects.toThrow(/ms:\n {2}success running, attempt 1$/)
    end()
    await accepted
    expect(await deliveries(webhook.inbox)).toMatchObject([{ state: 'done' }])
    await webhook.close()
  })

  test('that still wait are named in the error', async () => {
    const onSuccess = () => {
      throw new Error('no such account')
    }
    const webhook = conversionWebhook(
      { onSuccess, onError: () => undefined },
      { secret: false, inbox: open(folder.file('two.db')) },
    )
    await webhook.accept(sampleParams()).catch(() => undefined)
    await expect(deliveries(webhook.inbox, { timeoutMs: 50 })).rejects.toThrow(
      /^Deliveries still wait or run after 50 ms:\n {2}success waiting, attempt 1, ERR_CONVERSION_HANDLER_FAILED: no such account$/,
    )
    await webhook.close()
  })
})
