import { setImmediate as turn } from 'node:timers/promises'
import { Slots } from '../../lib/inbox/slots.js'

function enter(slots: Slots, names: string) {
  const entered: string[] = []
  const releases = Array.from(names, async (name) => {
    const slot = await slots.acquire()
    entered.push(name)
    return slot
  })
  return { entered, releases }
}

test('as many as there are slots enter, the others in the order in which they came', async () => {
  const { entered, releases } = enter(new Slots(2), 'abcd')
  await turn()
  expect(entered).toEqual(['a', 'b'])
  ;(await releases[1])?.release()
  await turn()
  expect(entered).toEqual(['a', 'b', 'c'])
  ;(await releases[0])?.release()
  await turn()
  expect(entered).toEqual(['a', 'b', 'c', 'd'])
})

test('a slot is given back once, however often', async () => {
  const { entered, releases } = enter(new Slots(1), 'abc')
  const slot = await releases[0]
  slot?.release()
  slot?.release()
  await turn()
  expect(entered).toEqual(['a', 'b'])
})

test('a free slot is taken at once', async () => {
  const slots = new Slots(1)
  const slot = await slots.acquire()
  slot?.release()
  await expect(slots.acquire()).resolves.toMatchObject({ release: expect.any(Function) as () => void })
})

test('who goes away before its turn is told so, and takes no slot', async () => {
  const slots = new Slots(1)
  const slot = slots.take()
  const leaving = new AbortController()
  const gone = slots.acquire(leaving.signal)
  const next = slots.acquire()
  leaving.abort()
  expect(await gone).toBeUndefined()
  expect(await slots.acquire(leaving.signal)).toBeUndefined()
  slot?.release()
  expect(await next).toMatchObject({ release: expect.any(Function) as () => void })
  expect(slots.free).toBe(0)
})

test('who has a slot keeps it, whatever becomes of the signal', async () => {
  const slots = new Slots(1)
  const leaving = new AbortController()
  const slot = await slots.acquire(leaving.signal)
  leaving.abort()
  expect(slots.free).toBe(0)
  slot?.release()
  expect(slots.free).toBe(1)
})

describe('a slot that is given away', () => {
  test('is for the next in the queue, and nobody waits for its handler any more', async () => {
    const slots = new Slots(1)
    const stuck = slots.take()
    const idle = slots.idle()
    const next = slots.acquire()
    stuck?.giveAway()
    const slot = await next
    expect([slots.free, slots.stuck]).toEqual([0, 1])
    slot?.release()
    await idle
    expect([slots.free, slots.stuck]).toEqual([1, 1])
    stuck?.release()
    stuck?.release()
    expect([slots.free, slots.stuck]).toEqual([1, 0])
  })

  test('can be taken again when its handler has ended and one is free', () => {
    const slots = new Slots(1)
    const stuck = slots.take()
    expect(stuck?.retake()).toBe(true) // it was there all the time
    stuck?.giveAway()
    stuck?.giveAway()
    const other = slots.take()
    expect(stuck?.retake()).toBe(false)
    other?.release()
    expect(stuck?.retake()).toBe(true)
    expect([slots.free, slots.stuck]).toEqual([0, 0])
    stuck?.release()
    stuck?.giveAway()
    expect(stuck?.retake()).toBe(false)
    expect([slots.free, slots.stuck]).toEqual([1, 0])
  })

  test('leaves none when ten times as many handlers are stuck, until one of them ends', async () => {
    const slots = new Slots(2)
    const stuck = Array.from({ length: 20 }, () => {
      const slot = slots.take()
      slot?.giveAway()
      return slot
    })
    expect(stuck).not.toContain(undefined)
    expect([slots.free, slots.stuck, slots.isExhausted]).toEqual([0, 20, true])
    expect(slots.take()).toBeUndefined()
    await slots.idle()
    const next = slots.acquire()
    stuck[7]?.release()
    expect(await next).toBeDefined()
    expect([slots.free, slots.stuck, slots.isExhausted]).toEqual([0, 19, false])
  })

  test('leaves so few that with those that run no more than that can get stuck', () => {
    const slots = new Slots(2)
    const taken = Array.from({ length: 19 }, () => {
      const slot = slots.take()
      slot?.giveAway()
      return slot
    })
    expect([slots.free, slots.stuck]).toEqual([1, 19])
    taken[0]?.release()
    expect([slots.free, slots.stuck]).toEqual([2, 18])
  })
})

test('a slot whose handler has ended is for others at once, and all is idle when what it came to is recorded', async () => {
  const slots = new Slots(1)
  const first = slots.take()
  first?.handOn()
  const second = slots.take()
  expect(second).toBeDefined()
  expect(slots.free).toBe(0)
  second?.release()
  let isIdle = false
  const idle = slots.idle().then(() => (isIdle = true))
  await turn()
  expect(isIdle).toBe(false)
  first?.release()
  await idle
})

test('no more slots are handed on than there are, so that what is to be recorded does not pile up', () => {
  const slots = new Slots(2)
  const ended = Array.from({ length: 2 }, () => slots.take())
  for (const slot of ended) slot?.handOn()
  const next = slots.take()
  next?.handOn()
  expect(slots.free).toBe(1)
  ended[0]?.release()
  next?.handOn()
  expect(slots.free).toBe(2)
})

test('a slot that was handed on is taken again where one is free', () => {
  const slots = new Slots(1)
  const slot = slots.take()
  slot?.handOn()
  const other = slots.take()
  expect(slot?.retake()).toBe(false)
  other?.release()
  expect(slot?.retake()).toBe(true)
  expect(slots.free).toBe(0)
})

test('a slot whose handler has ended is not taken again where as many handlers are stuck as may be', () => {
  const slots = new Slots(1)
  const stuck = Array.from({ length: 9 }, () => {
    const slot = slots.take()
    slot?.giveAway()
    return slot
  })
  const ended = slots.take()
  ended?.handOn()
  slots.take()?.giveAway()
  expect([slots.free, slots.isExhausted]).toEqual([0, true])
  expect(ended?.retake()).toBe(false)
  expect(slots.free).toBe(0)
  expect(slots.take()).toBeUndefined()
  stuck[0]?.release()
  expect(ended?.retake()).toBe(true)
  expect(slots.free).toBe(0)
})
