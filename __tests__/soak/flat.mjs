/*
 * Whether what was sampled again and again stays as it is. The samples are cut in three: the first third is warm-up, and the last is compared
 * with the middle one. Of each third it is the lower quartile that counts: what happens to be under way in a sample only adds to it.
 */

/** By how much each may be larger in the last third, where so many callbacks came between the middle of one third and that of the other. */
export const bounds = {
  /** Half of what a leak of 100 bytes a callback is; and what V8 adds and drops by itself, such as compiled code. */
  heap: (_before, callbacks) => 50 * callbacks + 512 * 1024,
  /** The allocator returns pages when it wants to, and SQLite keeps 16 MiB of the file. */
  rss: (before) => 0.1 * before,
  descriptors: () => 3,
  waiting: (before) => 0.5 * before + 50,
  /** Of all kinds: those of connections and of what waits for its next attempt, too. */
  timers: () => 50,
  /** What keeps the process alive, of any one type: timers, sockets, requests to the file system. */
  resources: () => 5,
}

const lowerQuartile = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 4)]
const middleOf = (third) => third[Math.floor(third.length / 2)]

/** Compares the thirds; a row for each measure. */
export function compare(samples) {
  const length = Math.floor(samples.length / 3)
  const [middle, last] = [samples.slice(-2 * length, -length), samples.slice(-length)]
  const callbacks = middleOf(last).callbacks - middleOf(middle).callbacks
  const row = (name, bound, read) => {
    const [before, after] = [middle, last].map((third) => lowerQuartile(third.map(read)))
    const growth = after - before
    const allowed = Math.round(bound(before, callbacks))
    return { name, before, after, growth, allowed, isFlat: growth <= allowed }
  }
  const types = [...new Set(samples.flatMap(({ resources }) => Object.keys(resources)))].sort()
  return {
    callbacks,
    rows: [
      row('heap', bounds.heap, ({ heap }) => heap),
      row('rss', bounds.rss, ({ rss }) => rss),
      row('descriptors', bounds.descriptors, ({ descriptors }) => descriptors),
      row('waiting', bounds.waiting, ({ waiting }) => waiting),
      row('timers', bounds.timers, ({ timers }) => timers),
      ...types.map((type) => row(type, bounds.resources, ({ resources }) => resources[type] ?? 0)),
    ],
  }
}
