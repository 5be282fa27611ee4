/** The number of random cases of a property, or of callbacks in a burst. `CASES=0.1` runs a tenth of them, for a second run on another Node. */
export const cases = (count: number): number => Math.ceil(count * Number(process.env.CASES ?? 1))
