import { setImmediate as turn } from 'node:timers/promises'
import { isConversionWebhookError, memoryInbox } from '../../lib/index.js'
import type { Inbox, InboxHost, Verdict } from '../../lib/inbox/inbox.js'
import { conflictOf, memoryBudget } from '../../lib/inbox/quarantine.js'
import { memoryRoom } from '../../lib/inbox/stores/memory-claims.js'
import { openMemory } from '../../lib/inbox/memory-inbox.js'
import { done, ending, failed, held, late, testHost, working } from '../support/host.js'
import { callbackOf } from '../support/ledger.js'

/* The memory inbox behind a host whose attempts end when the test says so: order, slots, time limits, closing. */

function start(changes: Partial<InboxHost> = {}) {
  const test = testHost(changes)
  const inbox = memoryInbox()
  inbox.attach(test.host)
  return { inbox, ...test }
}

const success = callbackOf('success')
const codeOf = (error: unknown) => (isConversionWebhookError(error) ? error.code : error)
const other = (orderID: string) => callbackOf('success', { orderID })

test('deliveries of one identity run one at a time, in the order in which they were recorded', async () => {
  const { inbox, attempt, attempts } = start()
  const results = []
  for (const [index, status] of (['pending', 'success', 'fail'] as const).entries()) {
    results.push(inbox.accept(callbackOf(status)))
    await turn()
    expect(attempts).toHaveLength(Math.max(1, index))
    if (index === 0) continue
    const before = await attempt(index)
    before.finish()
    before.judge(done)
    await attempt(index + 1)
  }
  const reversal = await attempt(3)
  reversal.finish()
  reversal.judge(done)
  await Promise.all(results)
  expect(attempts.map(({ job }) => job.id.split(':')[1])).toEqual(['pending', 'success', 'reversal'])
})

test('a success that has not started when a fail arrives never starts', async () => {
  const { inbox, attempt, attempts } = start()
  const results = [inbox.accept(success), inbox.accept(callbackOf('fail'))]
  const fail = await attempt(1)
  fail.finish()
  fail.judge(done)
  expect((await Promise.all(results)).map(({ outcome }) => outcome)).toEqual(['accepted', 'accepted'])
  expect(attempts.map(({ job }) => job.id.split(':')[1])).toEqual(['fail'])
})

test('identities run side by side, up to the concurrency, and a slot is free when its handler has ended', async () => {
  const { inbox, attempt, attempts } = start({ concurrency: 2 })
  const results = ['a', 'b', 'c'].map((orderID) => inbox.accept(other(orderID)))
  const first = await attempt(1)
  const second = await attempt(2)
  first.judge(done)
  await results[0]
  await turn()
  expect(attempts).toHaveLength(2)
  first.finish()
  const third = await attempt(3)
  expect(attempts.map(({ job }) => job.callback.params.orderID)).toEqual(['a', 'b', 'c'])
  for (const each of [second, third]) {
    each.judge(done)
    each.finish()
  }
  await Promise.all(results)
})

test('a retry waits for the attempt that ran out of time and still runs', async () => {
  const { inbox, attempt, attempts } = start()
  const lateOne = inbox.accept(success)
  const first = await attempt(1)
  first.judge(late)
  await expect(lateOne).rejects.toMatchObject({ code: 'ERR_CONVERSION_HANDLER_LATE', status: 500 })
  const repeat = inbox.accept(success)
  await turn()
  expect(attempts).toHaveLength(1)
  first.finish()
  const second = await attempt(2)
  expect(second.job).toMatchObject({ id: first.job.id, attempt: 2 })
  second.judge(done)
  expect((await repeat).outcome).toBe('accepted')
})

test('a retry that waits for its turn longer than handlerTimeoutMs fails', async () => {
  const { inbox, attempt, attempts } = start({ handlerTimeoutMs: 5, onError: () => undefined })
  const lateOne = inbox.accept(success)
  const first = await attempt(1)
  first.judge(late)
  await expect(lateOne).rejects.toMatchObject({ code: 'ERR_CONVERSION_HANDLER_LATE' })
  await expect(inbox.accept(success)).rejects.toMatchObject({ code: 'ERR_CONVERSION_HANDLER_LATE' })
  first.finish()
  await turn()
  expect(attempts).toHaveLength(1)
})

test('a late success that a fail has overtaken meanwhile runs until its end, and is withdrawn then', async () => {
  const { inbox, attempt, attempts } = start({ handlerTimeoutMs: 5, onError: () => undefined })
  await turn() // before that a callback waits for its turn, at most handlerTimeoutMs
  const states = async () => (await inbox.list()).map(({ event, state }) => [event, state]).sort()
  const lateOne = inbox.accept(success)
  const first = await attempt(1)
  first.judge(late)
  await expect(lateOne).rejects.toMatchObject({ code: 'ERR_CONVERSION_HANDLER_LATE' })
  await expect(inbox.accept(callbackOf('fail'))).rejects.toMatchObject({ code: 'ERR_CONVERSION_HANDLER_LATE' })
  expect(await states()).toEqual([
    ['fail', 'waiting'],
    ['success', 'running'],
  ])
  first.finish()
  await turn()
  expect(await states()).toEqual([
    ['fail', 'waiting'],
    ['success', 'withdrawn'],
  ])
  expect(attempts).toHaveLength(1)
})

test('a fail that comes while the late handler of the success still runs waits for its end, and is a plain fail', async () => {
  const { inbox, attempt, attempts } = start()
  const lateOne = inbox.accept(success)
  const first = await attempt(1)
  first.judge(late)
  await expect(lateOne).rejects.toMatchObject({ code: 'ERR_CONVERSION_HANDLER_LATE' })
  const fail = inbox.accept(callbackOf('fail'))
  await new Promise(setImmediate)
  expect(attempts).toHaveLength(1)
  first.finish()
  const second = await attempt(2)
  expect(second.job.id).toMatch(/:fail$/)
  second.judge(done)
  expect((await fail).outcome).toBe('accepted')
})

describe('at most 10,000 conversions are kept:', () => {
  const fill = async (accept: (orderID: string) => Promise<unknown>, count: number, prefix = 'order') => {
    for (let index = 0; index < count; index++) await accept(`${prefix} ${String(index)}`).catch(() => undefined)
  }

  test('the oldest settled one is dropped for the next', async () => {
    const { inbox } = start(working)
    const accept = (orderID: string) => inbox.accept(other(orderID)).then(({ outcome }) => outcome)
    await fill(accept, 10_000)
    expect(await accept('order 0')).toBe('duplicate')
    expect(await accept('one more')).toBe('accepted')
    expect(await accept('order 1')).toBe('duplicate')
    expect(await accept('order 0')).toBe('accepted')
    expect(await accept('order 1')).toBe('accepted')
  })

  test('an unsettled one stays, however old', async () => {
    const attempts: number[] = []
    const { inbox } = start({
      deliver: ({ attempt, callback, ...job }) => {
        if (callback.params.orderID !== 'first') return working.deliver({ attempt, callback, ...job })
        attempts.push(attempt)
        return ending(attempt === 1 ? failed : done).deliver({ attempt, callback, ...job })
      },
    })
    const accept = (orderID: string) => inbox.accept(other(orderID)).then(({ outcome }) => outcome)
    await expect(accept('first')).rejects.toMatchObject({ code: 'ERR_CONVERSION_HANDLER_FAILED' })
    await fill(accept, 10_000)
    expect(await accept('first')).toBe('accepted')
    expect(attempts).toEqual([1, 2])
    expect(await accept('order 0')).toBe('accepted')
  })

  test('if none is settled, the one that waits longest for a repeat is dropped, and is new when it is repeated', async () => {
    const { inbox } = start(ending(held))
    const isHeld = { code: 'ERR_CONVERSION_DELIVERY_HELD', status: 503 }
    await fill((orderID) => inbox.accept(other(orderID)), 10_000)
    for (const order of ['order 0', 'one more', 'order 1', 'order 2', 'order 0']) {
      await expect(inbox.accept(other(order))).rejects.toMatchObject(isHeld)
    }
    const holdsOf = async (orderId: string) => {
      const [row] = await inbox.list({ orderId })
      const entry = row && (await inbox.get(row.id))
      return entry?.history.filter(({ what }) => what === 'held').length
    }
    expect(await Promise.all(['order 0', 'one more', 'order 1', 'order 2', 'order 3', 'order 4'].map(holdsOf))).toEqual(
      [3, 1, 1, 1, undefined, 1],
    )
  })

  test('if all are being delivered, a new one is answered with 503, a repeat is not', async () => {
    const { inbox, attempt } = start()
    const running = Array.from({ length: 10_000 }, (_each, index) => inbox.accept(other(`order ${String(index)}`)))
    const first = await attempt(1)
    await expect(inbox.accept(other('one more'))).rejects.toMatchObject({
      code: 'ERR_CONVERSION_INBOX_FULL',
      status: 503,
    })
    const repeat = inbox.accept(other('order 0'))
    first.judge(failed)
    first.finish()
    await expect(repeat).rejects.toMatchObject({ code: 'ERR_CONVERSION_HANDLER_FAILED' })
    await expect(running[0]).rejects.toMatchObject({ code: 'ERR_CONVERSION_HANDLER_FAILED' })
    const next = inbox.accept(other('one more'))
    expect(await inbox.list({ orderId: 'order 0' })).toEqual([])
    const results = Promise.allSettled([...running.slice(11), next])
    const closed = inbox.close()
    for (let number = 2; number <= 11; number++) {
      const under = await attempt(number)
      under.judge(done)
      under.finish()
    }
    await closed
    const codes = (await results).map((result) => result.status === 'rejected' && codeOf(result.reason))
    expect(new Set(codes)).toEqual(new Set(['ERR_CONVERSION_INBOX_CLOSED']))
  })
})

describe('by bytes:', () => {
  const kibibyte = 1_024
  const large = (orderID: string, length = 10 * kibibyte) =>
    callbackOf('success', { orderID, note: 'x'.repeat(length) })
  const startSmall = (changes: Partial<InboxHost>, bytes: number) => {
    const test = testHost(changes)
    const inbox = openMemory({ rows: 10_000, bytes }, memoryBudget)
    inbox.attach(test.host)
    return { inbox, ...test }
  }
  const orders = async (inbox: Inbox) => (await inbox.list({ limit: 1_000 })).map(({ params }) => params.orderID).sort()

  test('the oldest settled ones are dropped for a large new one', async () => {
    const { inbox } = startSmall(working, 100 * kibibyte)
    for (const order of ['a', 'b', 'c', 'd', 'e', 'f']) await inbox.accept(large(order))
    expect(await orders(inbox)).toEqual(['c', 'd', 'e', 'f'])
    expect((await inbox.accept(large('c'))).outcome).toBe('duplicate')
    expect((await inbox.accept(large('a'))).outcome).toBe('accepted')
    expect(await orders(inbox)).toEqual(['a', 'd', 'e', 'f'])
  })

  test('settled ones are dropped before waiting ones; a 503 comes only if none of them is left', async () => {
    const { inbox, attempt } = startSmall({}, 100 * kibibyte)
    const judged = async (order: string, verdict: Verdict, number: number) => {
      const accepted = inbox.accept(large(order))
      const under = await attempt(number)
      under.judge(verdict)
      under.finish()
      await accepted.catch(() => undefined)
    }
    await judged('waits', failed, 1)
    await judged('settled', done, 2)
    const running = ['r1', 'r2'].map((order) => inbox.accept(large(order)))
    await attempt(4)
    expect(await orders(inbox)).toEqual(['r1', 'r2', 'settled', 'waits'])
    running.push(inbox.accept(large('r3')))
    await attempt(5)
    expect(await orders(inbox)).toEqual(['r1', 'r2', 'r3', 'waits'])
    running.push(inbox.accept(large('r4')))
    await attempt(6)
    expect(await orders(inbox)).toEqual(['r1', 'r2', 'r3', 'r4'])
    await expect(inbox.accept(large('r5'))).rejects.toMatchObject({ code: 'ERR_CONVERSION_INBOX_FULL', status: 503 })
    for (const number of [3, 4, 5, 6]) {
      const under = await attempt(number)
      under.judge(done)
      under.finish()
    }
    expect((await Promise.all(running)).map(({ outcome }) => outcome)).toEqual(Array(4).fill('accepted'))
  })

  test('one that grows is not dropped for its own growth', async () => {
    const { inbox } = startSmall(working, 50 * kibibyte)
    await inbox.accept(large('a'))
    await inbox.accept(large('b'))
    expect((await inbox.accept({ ...large('a'), status: 'fail' })).outcome).toBe('accepted')
    expect(await orders(inbox)).toEqual(['a', 'a'])
  })

  test('one for whose growth there is no room stays as it was, and the callback is answered with 503', async () => {
    const { inbox, attempt } = startSmall({}, 50 * kibibyte)
    const [a, b] = [inbox.accept(large('a')), inbox.accept(large('b'))]
    const [first, second] = [await attempt(1), await attempt(2)]
    const fail = () => inbox.accept({ ...large('a'), status: 'fail' })
    await expect(fail()).rejects.toMatchObject({ code: 'ERR_CONVERSION_INBOX_FULL' })
    for (const under of [first, second]) {
      under.judge(done)
      under.finish()
    }
    await Promise.all([a, b])
    const failing = fail()
    const third = await attempt(3)
    expect(third.job.id).toMatch(/:reversal$/)
    third.judge(done)
    third.finish()
    expect((await failing).outcome).toBe('accepted')
    expect(await orders(inbox)).toEqual(['a', 'a'])
  })

  test('long error messages count, too', async () => {
    const error = new Error('x'.repeat(5_000))
    const long: Verdict = { state: 'waiting', code: 'ERR_CONVERSION_HANDLER_FAILED', error }
    const { inbox } = startSmall(ending(long), 20 * kibibyte)
    const small = ['a', 'b', 'c'].map((orderID) => callbackOf('success', { orderID }))
    for (const callback of small) await inbox.accept(callback).catch(() => undefined)
    expect(await orders(inbox)).toEqual(['a', 'b', 'c'])
    for (let attempt = 0; attempt < 5; attempt++) {
      for (const callback of small.slice(2)) await inbox.accept(callback).catch(() => undefined)
    }
    expect(await orders(inbox)).toEqual(['b', 'c'])
  })

  test('the limit is 64 MiB: of callbacks of 30 KiB each, the oldest are dropped long before there are 10,000', async () => {
    expect(memoryRoom).toEqual({ rows: 10_000, bytes: 67_108_864 })
    const { inbox } = start(working)
    for (let order = 0; order < 2_500; order++) await inbox.accept(large(String(order), 15 * kibibyte))
    const { deliveries } = await inbox.stats()
    expect(deliveries.done).toBeLessThan(2_200)
    expect(deliveries.done).toBeGreaterThan(1_800)
  })
})

describe('closing', () => {
  test('waits for running handlers without aborting them, and claims nothing more', async () => {
    const { inbox, attempt, attempts } = start({ concurrency: 1 })
    const running = inbox.accept(success)
    const queued = inbox.accept(other('queued'))
    const first = await attempt(1)
    let isClosed = false
    const closed = inbox.close().then(() => {
      isClosed = true
    })
    await turn()
    expect(isClosed).toBe(false)
    first.judge(done)
    first.finish()
    await closed
    expect((await running).outcome).toBe('accepted')
    await expect(queued).rejects.toMatchObject({ code: 'ERR_CONVERSION_INBOX_CLOSED', status: 503 })
    expect(attempts).toHaveLength(1)
    expect(first.aborted()).toBeUndefined()
  })

  test('aborts handlers that run longer than closeTimeoutMs', async () => {
    const { inbox, attempt } = start({ closeTimeoutMs: 5 })
    const running = inbox.accept(success)
    const { aborted, judge } = await attempt(1)
    await inbox.close()
    expect(aborted()).toMatchObject({ code: 'ERR_CONVERSION_INBOX_CLOSED' })
    judge(failed)
    await expect(running).rejects.toMatchObject({ code: 'ERR_CONVERSION_HANDLER_FAILED' })
  })

  test('happens once, however often close is called', async () => {
    const { inbox } = start(working)
    expect(inbox.close()).toBe(inbox.close())
    await inbox.close()
  })

  test('makes every later call reject', async () => {
    const { inbox } = start(working)
    await inbox.close()
    const closed = { code: 'ERR_CONVERSION_INBOX_CLOSED', status: 503 }
    await expect(inbox.accept(success)).rejects.toMatchObject(closed)
    await expect((async () => inbox.quarantine(conflictOf('x', success, [])))()).rejects.toMatchObject(closed)
  })

  test('works for an inbox that belongs to no webhook', async () => {
    await expect(memoryInbox().close()).resolves.toBeUndefined()
  })
})

test('an inbox serves one webhook only, and no webhook before attach', async () => {
  const { inbox, host } = start()
  expect(() => inbox.attach(host)).toThrow('belongs to another webhook')
  await expect(memoryInbox().accept(success)).rejects.toMatchObject({ code: 'ERR_CONVERSION_INBOX_INVALID' })
})
