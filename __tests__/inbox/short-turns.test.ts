import { PortionSize } from '../../lib/util/short-turns.js'

test('a portion is as large as what took 10 ms, grows by a quarter at most, and has one item at least', () => {
  const portion = new PortionSize(100, 200)
  const next = (items: number, ms: number) => {
    portion.took(items, ms)
    return portion.size
  }
  expect(next(100, 20)).toBe(50)
  expect(next(50, 1)).toBe(63)
  expect(next(63, 0)).toBe(79)
  for (let count = 0; count < 10; count++) portion.took(portion.size, 1)
  expect(portion.size).toBe(200)
  expect(next(200, 1_000)).toBe(2)
  expect(next(2, 1_000)).toBe(1)
  expect(next(0, 1)).toBe(1)
})
