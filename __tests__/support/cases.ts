/** How many random cases a property, or a burst, is tried with. `CASES=0.1` is a tenth of them, where the same cases have been tried before. */
export const cases = (count: number): number => Math.ceil(count * Number(process.env.CASES ?? 1))
