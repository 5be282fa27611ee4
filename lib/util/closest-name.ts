/** A name from outside, cut for an error message. */
export function shown(name: string): string {
  return name.slice(0, 60)
}

/** Longer than every known name. Bounds the work for a long input. */
const maxLength = 100

/** The known name with the fewest edits to the given one, for "did you mean". */
export function closestName(name: string, known: readonly string[]): string {
  const start = name.slice(0, maxLength).toLowerCase()
  const ranked = known.map((candidate) => ({ candidate, edits: distance(start, candidate.toLowerCase()) }))
  return ranked.sort((a, b) => a.edits - b.edits)[0]?.candidate ?? ''
}

/** Levenshtein distance, computed row by row. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (const [i, char] of a.split('').entries()) {
    const above = row
    row = [i + 1]
    for (let j = 0; j < b.length; j++) {
      const substituted = (above[j] ?? 0) + (char === b[j] ? 0 : 1)
      row.push(Math.min(substituted, (above[j + 1] ?? 0) + 1, (row[j] ?? 0) + 1))
    }
  }
  return row.at(-1) ?? 0
}
