import { setImmediate as turn } from 'node:timers/promises'
import { memoryInbox } from '../../lib/index.js'
import type { InboxHost } from '../../lib/inbox/inbox.js'
import { conflictOf } from '../../lib/inbox/quarantine.js'
import { done, ending, failed, late, testHost, working } from '../support/host.js'
import { callbackOf } from '../support/ledger.js'

/* The memory inbox behind a host whose attempts end when the test says so: order, slots, time limits, closing. */

function start(changes: Partial<InboxHost> = {}) {
  const test = testHost(changes)
  const inbox = memoryInbox()
  inbox.attach(test.host)
  return { inbox, ...test }
}

const success = callbackOf('success')
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

test('a retry that waits longer than a handler may run gives up, and its turn is lost', async () => {
  const { inbox, attempt, attempts } = start({ handlerTimeoutMs: 5 })
  const lateOne = inbox.accept(success)
  const first = await attempt(1)
  first.judge(late)
  await expect(lateOne).rejects.toMatchObject({ code: 'ERR_CONVERSION_HANDLER_LATE' })
  await expect(inbox.accept(success)).rejects.toMatchObject({ code: 'ERR_CONVERSION_HANDLER_LATE' })
  first.finish()
  await turn()
  expect(attempts).toHaveLength(1)
})

test('a fail that comes while the late handler of the success still runs waits for its end, and is a plain one', async () => {
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

describe('room for 10,000 identities', () => {
  const fill = async (accept: (orderID: string) => Promise<unknown>, count: number, prefix = 'order') => {
    for (let index = 0; index < count; index++) await accept(`${prefix} ${String(index)}`).catch(() => undefined)
  }

  test('the oldest settled one gives way to the next', async () => {
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

  test('with all of them unsettled a new one is 503, a known one is not', async () => {
    const { inbox } = start(ending(failed))
    await fill((orderID) => inbox.accept(other(orderID)), 10_000)
    await expect(inbox.accept(other('one more'))).rejects.toMatchObject({
      code: 'ERR_CONVERSION_INBOX_FULL',
      status: 503,
    })
    await expect(inbox.accept(other('order 5'))).rejects.toMatchObject({ code: 'ERR_CONVERSION_HANDLER_FAILED' })
  })
})

describe('closing', () => {
  test('waits for what runs, without aborting it, and claims nothing more', async () => {
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

  test('aborts what runs longer than closeTimeoutMs', async () => {
    const { inbox, attempt } = start({ closeTimeoutMs: 5 })
    const running = inbox.accept(success)
    const { aborted, judge } = await attempt(1)
    await inbox.close()
    expect(aborted()).toMatchObject({ code: 'ERR_CONVERSION_INBOX_CLOSED' })
    judge(failed)
    await expect(running).rejects.toMatchObject({ code: 'ERR_CONVERSION_HANDLER_FAILED' })
  })

  test('is done once, however often it is asked for', async () => {
    const { inbox } = start(working)
    expect(inbox.close()).toBe(inbox.close())
    await inbox.close()
  })

  test('refuses whatever comes after it', async () => {
    const { inbox } = start(working)
    await inbox.close()
    const closed = { code: 'ERR_CONVERSION_INBOX_CLOSED', status: 503 }
    await expect(inbox.accept(success)).rejects.toMatchObject(closed)
    await expect((async () => inbox.quarantine(conflictOf('x', success)))()).rejects.toMatchObject(closed)
  })

  test('is nothing for an inbox that belongs to no webhook', async () => {
    await expect(memoryInbox().close()).resolves.toBeUndefined()
  })
})

test('an inbox serves one webhook, and none before it is attached', async () => {
  const { inbox, host } = start()
  expect(() => inbox.attach(host)).toThrow('belongs to another webhook')
  await expect(memoryInbox().accept(success)).rejects.toMatchObject({ code: 'ERR_CONVERSION_INBOX_INVALID' })
})
