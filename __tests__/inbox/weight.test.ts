import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { settle } from '../../lib/inbox/delivery.js'
import { Line } from '../../lib/util/line.js'
import { viaOf } from '../../lib/callback/caller.js'
import { conversionWebhook } from '../../lib/index.js'
import { weighsAs, weightOf } from '../../lib/inbox/stores/memory-claims.js'
import { callbackOf, recordOf } from '../support/ledger.js'

describe('the weight of a record', () => {
  const of = (length: number) => weightOf(recordOf(callbackOf('success', { referrer_name: 'x'.repeat(length) })))

  test('is two bytes per character, and a fixed number per object', () => {
    expect(of(5_000) - of(1_000)).toBe(8_000)
    expect(of(0)).toBeGreaterThan(1_000)
    expect(of(0)).toBeLessThan(5_000)
  })

  test('counts names and values of extra parameters, scope and repairs', () => {
    const callback = callbackOf('success')
    const plain = weightOf(recordOf(callback))
    const text = 'x'.repeat(500)
    for (const more of [
      { extra: { [text]: '' } },
      { extra: { a: text } },
      { scope: text },
      { repairs: [{ parameter: text, kind: 'charset' as const }] },
    ]) {
      const grown = weightOf(recordOf({ ...callback, ...more })) - plain
      expect(grown).toBeGreaterThanOrEqual(1_000)
      expect(grown).toBeLessThan(1_300)
    }
  })

  test('counts the index entries of a rival', () => {
    const record = recordOf(callbackOf('success', { referrer_email: `${'x'.repeat(500)}@example.com` }))
    const grown = weightOf({ ...record, id: 'a rival' }) - weightOf(record)
    expect(grown).toBeGreaterThan(2_000)
    expect(grown).toBeLessThan(3_000)
  })

  test('counts a callback that two deliveries share once', () => {
    const text = 'x'.repeat(5_000)
    const both = recordOf(callbackOf('success', { goal_complete: '1', referrer_name: text }))
    expect(both.deliveries).toHaveLength(2)
    expect(weightOf(both)).toBeLessThan(15_000)
  })

  test('is the same until a callback or a log is another one', () => {
    const record = recordOf(callbackOf('success'))
    const [delivery] = record.deliveries
    if (!delivery) throw new Error('a record without a delivery')
    expect(weighsAs({ ...record, deliveries: [{ ...delivery, state: 'dead' }] }, record)).toBe(true)
    expect(weighsAs({ ...record, deliveries: [{ ...delivery, log: [] }] }, record)).toBe(false)
    expect(weighsAs({ ...record, deliveries: [{ ...delivery, callback: callbackOf('success') }] }, record)).toBe(false)
    expect(weighsAs({ ...record, deliveries: [delivery, delivery] }, record)).toBe(false)
  })
})

test('a queue is joined at its end, and left from its head or from anywhere', () => {
  const line = new Line<string>()
  expect(line.shift()).toBeUndefined()
  for (const item of ['a', 'b', 'c', 'd']) line.add(item)
  expect(line.shift()).toBe('a')
  expect(line.delete('c')).toBe(true)
  expect(line.delete('c')).toBe(false)
  line.add('a')
  line.add('d')
  expect([line.shift(), line.shift(), line.shift(), line.shift()]).toEqual(['b', 'd', 'a', undefined])
  line.add('e')
  expect(line.shift()).toBe('e')
})

test('a message that was cut out of a long text does not keep that text in memory', () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const policy = { now: 0, random: 0, maxAttempts: 12, maxHoldMs: 0 }
  const fails = (number: number) => {
    const body = Buffer.alloc(1_000_000, String(number)).toString('latin1')
    const error = new Error(`Answered with 500: ${body.slice(0, 200)}`)
    const running = recordOf([callbackOf('success', { orderID: String(number) }), { success: 'running' }])
    return settle(running, 'success', { state: 'waiting', code: 'ERR_CONVERSION_HANDLER_FAILED', error }, policy)
  }
  collect()
  const before = process.memoryUsage().heapUsed
  const kept = Array.from({ length: 40 }, (_each, index) => fails(index))
  collect()
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(10_000_000)
  expect(kept.map(({ deliveries }) => deliveries[0]?.log[0]?.message?.length)).toEqual(kept.map(() => 219))
})

test('a callback keeps nothing of the URL, object and headers that it came with', async () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const webhook = conversionWebhook({}, { secret: false })
  const unread = '&'.repeat(60_000)
  const query = (order: number) =>
    `conversion=success&orderID=an-order-with-the-number-${String(order)}&a_name_that_nobody_knows=a-value-of-some-length${unread}`
  const params = (order: number) => {
    const whole = `success, an-order-with-the-number-${String(order)}${unread}`
    return [{ conversion: whole.slice(0, 7), orderID: whole.slice(9, 38) }, { scope: whole.slice(9, 38) }] as const
  }
  collect()
  const before = process.memoryUsage().heapUsed
  for (let order = 1_000; order < 1_100; order++) await webhook.accept(query(order))
  for (let order = 2_000; order < 2_100; order++) await webhook.accept(...params(order))
  const vias = Array.from({ length: 100 }, (_each, at) => {
    const header = `${String(at)} ${unread}` as const
    return viaOf(
      { method: 'GET', headers: { 'user-agent': header, 'content-type': header } },
      'header',
      true,
      undefined,
    )
  })
  collect()
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(4_000_000) // of 18 MB
  const rows = await webhook.inbox.list({ limit: 1_000 })
  expect(new Set(rows.map(({ conversion }) => conversion?.orderId)).size).toBe(200)
  expect(vias.map(({ by }) => by)).toEqual(vias.map(() => 'request'))
})
