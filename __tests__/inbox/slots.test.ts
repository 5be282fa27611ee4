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
