/*
 * Tells linear from quadratic time on a busy machine: doubles an input up to its limit and compares processor times, which other processes
 * hardly change. A run repeats its call until it takes 5 ms, so that the clock is precise enough. Noise can only slow a run down, so only the
 * quickest run of a size counts, and a result that looks quadratic is measured again. The highest ratio of an input is left out: it belongs to
 * the size at which a limit is passed or another kind of memory is needed.
 */
const shortestRunMs = 5
const parts = [16, 8, 4, 2, 1] as const
const attempts = 8

/** The limit between linear steps, whose time doubles with the input, and quadratic ones, whose time quadruples. */
const highestRatio = 2.5

interface Size {
  readonly size: number
  readonly call: () => unknown
  readonly repeats: number
  /** Milliseconds a call in the quickest run. */
  quickest: number
}

/**
 * Fails if twice the input takes more than 2.5 times as long. `make` returns the worst input of a size, from a sixteenth of `limit` to
 * `limit`. `run` is the measured step, called repeatedly with the same input.
 */
export function expectLinear<T>(make: (size: number) => T, run: (input: T) => unknown, limit = 65_536): void {
  const sizes = parts.map((part) => prepare(make, run, limit / part))
  for (let attempt = 0; attempt < attempts; attempt++) {
    for (const size of sizes) measure(size)
    if (ratioOf(sizes) <= highestRatio) return
  }
  const took = sizes.map(({ size, quickest }) => `${String(size)}: ${quickest.toPrecision(3)} ms`)
  throw new Error(`Not linear: ${took.join(', ')}`)
}

/** The mean ratio of the doublings, without the highest one. */
function ratioOf(sizes: readonly Size[]): number {
  const ratios = sizes.slice(1).map(({ quickest }, half) => quickest / (sizes[half]?.quickest ?? Infinity))
  const [, ...others] = ratios.sort((a, b) => b - a)
  return others.reduce((product, ratio) => product * ratio, 1) ** (1 / others.length)
}

/** Makes an input and decides how often a run calls the step. Also warms the step up. */
function prepare<T>(make: (size: number) => T, run: (input: T) => unknown, size: number): Size {
  const input = make(size)
  const call = () => run(input)
  let repeats = 1
  while (timeOf(call, repeats) < shortestRunMs) repeats *= 2
  return { size, call, repeats, quickest: Infinity }
}

function measure(size: Size): void {
  size.quickest = Math.min(size.quickest, timeOf(size.call, size.repeats) / size.repeats)
}

function timeOf(call: () => unknown, repeats: number): number {
  const since = process.cpuUsage()
  for (let each = 0; each < repeats; each++) call()
  const { user, system } = process.cpuUsage(since)
  return (user + system) / 1_000
}

/** A string of exactly `size` characters that repeats a piece, stored flat and not as a rope of pieces. */
export function filled(piece: string, size: number): string {
  const text = piece.repeat(Math.ceil(size / piece.length)).slice(0, size)
  return Buffer.from(text, 'utf16le').toString('utf16le')
}
