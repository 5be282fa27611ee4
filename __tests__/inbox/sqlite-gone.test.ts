import { GoneWorkers } from '../../lib/inbox/stores/sqlite-gone.js'

/* Which other processes are gone, judged by their beats at each look. */

type Look = readonly [now: number, beat: number | undefined]

const beatsOf = (beat: number | undefined) => new Map(beat === undefined ? [] : [['other', beat]])

function after(...looks: readonly Look[]): GoneWorkers {
  const silence = new GoneWorkers()
  for (const [now, beat] of looks) silence.look(beatsOf(beat), now)
  return silence
}

const isGone = (silence: GoneWorkers, now: number, beat = 1): boolean =>
  silence.gone(() => beatsOf(beat), now).length > 0
const every5s = (count: number, beat = 1): Look[] =>
  Array.from({ length: count }, (_look, index) => [index * 5_000, beat])

test('a process that was silent for 20 s is gone', () => {
  expect(isGone(after(...every5s(4)), 15_000)).toBe(false)
  expect(isGone(after(...every5s(5)), 20_000)).toBe(true)
})

test('a process that beats is not gone, nor one that is new or has left', () => {
  expect(isGone(after(...every5s(5), [25_000, 2]), 25_000, 2)).toBe(false)
  expect(isGone(after(...every5s(5)), 20_000, 2)).toBe(false) // since the last look
  expect(after(...every5s(5), [25_000, undefined]).gone(() => new Map(), 25_000)).toEqual([])
  expect(
    isGone(
      after(
        [0, undefined],
        ...every5s(5)
          .map(([now]) => [now + 5_000, 1] as const)
          .slice(0, 4),
      ),
      20_000,
    ),
  ).toBe(false)
})

test('a process that was not looking takes nobody for gone, and starts to count anew', () => {
  const silence = after(...every5s(5))
  expect(isGone(silence, 30_000)).toBe(true)
  expect(isGone(silence, 30_001)).toBe(false) // the process goes on, and has not looked yet
  silence.look(beatsOf(1), 80_000)
  expect(isGone(silence, 80_000)).toBe(false)
  for (const now of [85_000, 90_000, 95_000]) silence.look(beatsOf(1), now)
  expect(isGone(silence, 95_000)).toBe(false)
  silence.look(beatsOf(1), 100_000)
  expect(isGone(silence, 100_000)).toBe(true)
})

test('several looks at the same time add no silence', () => {
  expect(isGone(after(...Array.from({ length: 10 }, (_look, index) => [index, 1] as const)), 9)).toBe(false)
})
