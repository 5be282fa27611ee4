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

test('as many callers as there are slots get one at once, the others in the order of their requests', async () => {
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

test('a slot is released once, however often release is called', async () => {
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

test('a caller whose signal aborts while it waits gets undefined, and takes no slot', async () => {
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

test('a caller keeps its slot if the signal aborts later', async () => {
  const slots = new Slots(1)
  const leaving = new AbortController()
  const slot = await slots.acquire(leaving.signal)
  leaving.abort()
  expect(slots.free).toBe(0)
  slot?.release()
  expect(slots.free).toBe(1)
})

describe('a slot that is given away', () => {
  test('goes to the next in the queue, and idle no longer waits for its handler', async () => {
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
    expect(stuck?.retake()).toBe(true) // no other caller had taken the slot
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

  test('leaves no free slot once ten times as many handlers are stuck, until one of them ends', async () => {
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

  test('leaves so few free slots that no more handlers than the limit can get stuck', () => {
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

test('a slot that is handed on is free at once, and idle resolves when it is released', async () => {
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

test('at most twice as many slots as there are can be handed on, so that verdicts to record do not pile up', () => {
  const slots = new Slots(2)
  const ended = Array.from({ length: 4 }, () => {
    const slot = slots.take()
    slot?.handOn()
    return slot
  })
  const next = slots.take()
  next?.handOn()
  expect(slots.free).toBe(1)
  ended[0]?.release()
  next?.handOn()
  expect(slots.free).toBe(2)
})

test('a slot that was handed on is taken again if one is free', () => {
  const slots = new Slots(1)
  const slot = slots.take()
  slot?.handOn()
  const other = slots.take()
  expect(slot?.retake()).toBe(false)
  other?.release()
  expect(slot?.retake()).toBe(true)
  expect(slots.free).toBe(0)
})

test('a slot that was handed on is not taken again while the limit of stuck handlers is reached', () => {
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
