/*
 * Decides whether sampled values stay flat. The first third of the samples is warm-up; the last third is compared with the middle one. The
 * lower quartile of each third counts, since requests that are under way during a sample only add to its values.
 */

/** The allowed growth of each value between the two thirds, by the number of callbacks between their middles. */
export const bounds = {
  /** 50 bytes a callback, so that a leak of 100 is found, and the compiled code and other memory that V8 adds and drops by itself. */
  heap: (_before, callbacks) => 50 * callbacks + 512 * 1024,
  /** The allocator may return pages late, and SQLite caches 16 MiB of the file. */
  rss: (before) => 0.1 * before,
  descriptors: () => 3,
  waiting: (before) => 0.5 * before + 50,
  /** All timers, also those of connections and of deliveries that wait for their next attempt. */
  timers: () => 50,
  /** The resources of one type that keep the process alive: timers, sockets, requests to the file system. */
  resources: () => 5,
}

const lowerQuartile = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 4)]
const middleOf = (third) => third[Math.floor(third.length / 2)]

/** Compares the last two thirds. Returns a row for each measure. */
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
