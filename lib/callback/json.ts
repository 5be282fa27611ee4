/** A string, a bracket, a comma or colon, or a bare word (number, true, false, null) of valid JSON. */
const token = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]|[^\s"{}[\],:]+/gsu

/**
 * The members of a JSON object in order, repeated names included, which `JSON.parse` alone would drop.
 * JSON that is no object has none. Throws a SyntaxError for what is not JSON.
 */
export function jsonEntries(text: string): [name: string, value: unknown][] {
  const parsed: unknown = JSON.parse(text)
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return []

  const entries: [string, unknown][] = []
  let depth = 0
  let name: string | undefined
  let start = 0
  for (const { 0: piece, index } of text.matchAll(token)) {
    const closes = piece === '}' || piece === ']'
    if (depth === 1 && (piece === ',' || piece === '}') && name !== undefined) {
      entries.push([name, JSON.parse(text.slice(start, index))])
      name = undefined
    } else if (depth === 1 && name === undefined && piece.startsWith('"')) {
      name = JSON.parse(piece) as string
    } else if (depth === 1 && piece === ':') {
      start = index + 1
    }
    if (piece === '{' || piece === '[') depth++
    else if (closes) depth--
  }
  return entries
}
