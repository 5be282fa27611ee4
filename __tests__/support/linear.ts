/*
 * Tells linear from quadratic on a noisy machine: doubles an input up to its limit and compares the processor times, in which other processes
 * hardly show. A run repeats its call until it takes 5 ms, so that the clock is good enough; only the quickest run of a size counts, and what looks quadratic is measured again, since
 * noise can only slow a run down. The highest ratio of an input is left out: there a limit is passed, or memory of another kind is needed.
 */
const shortestRunMs = 5
const parts = [16, 8, 4, 2, 1] as const
const attempts = 8

/** A step that is linear doubles its time; one that is quadratic takes four times as long, at each doubling. */
const highestRatio = 2.5

interface Size {
  readonly size: number
  readonly call: () => unknown
  readonly repeats: number
  /** Milliseconds a call of the quickest run. */
  quickest: number
}

/**
 * Fails when twice the input takes more than 2.5 times as long. `make` gives the worst input of a size, from a sixteenth of `limit` to the
 * whole; `run` is the step, called with the same input again and again.
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

/** The mean ratio of a doubling, but for the highest. */
function ratioOf(sizes: readonly Size[]): number {
  const ratios = sizes.slice(1).map(({ quickest }, half) => quickest / (sizes[half]?.quickest ?? Infinity))
  const [, ...others] = ratios.sort((a, b) => b - a)
  return others.reduce((product, ratio) => product * ratio, 1) ** (1 / others.length)
}

/** An input, and how often its step is called in a run. Warms the step up, too. */
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

/** A text of one piece again and again, of exactly `size` characters, and stored as one. */
export function filled(piece: string, size: number): string {
  const text = piece.repeat(Math.ceil(size / piece.length)).slice(0, size)
  return Buffer.from(text, 'utf16le').toString('utf16le')
}
