/**
 * The entries of a JSON object in order, one at a time. Repeats of a name are entries too; `JSON.parse` would drop all but the last.
 * Other JSON has no entries. Throws a SyntaxError at the place where the string is no JSON.
 */
export function* jsonEntries(text: string): Generator<[name: string, value: unknown]> {
  const isObject = /^[ \t\r\n]*\{/.test(text)
  if (!isObject || /^[^{]*\{[ \t\r\n]*\}/.test(text)) {
    JSON.parse(text)
    return
  }
  for (let at = text.indexOf('{') + 1, end = -1; text[end] !== '}'; at = end + 1) {
    const colon = endOf(text, at)
    const name: unknown = JSON.parse(text.slice(at, colon))
    end = endOf(text, colon + 1)
    if (typeof name !== 'string' || text[colon] !== ':' || text[end] === ':') throw new SyntaxError('No JSON object')
    yield [name, JSON.parse(text.slice(colon + 1, end))]
    if (text[end] === '}' && /[^ \t\r\n]/.test(text.slice(end + 1))) throw new SyntaxError('More than a JSON object')
  }
}

/** Finds the end of a name or a value: the first `:`, `,` or `}` outside of strings and brackets. `JSON.parse` checks the part before. */
function endOf(text: string, start: number): number {
  let depth = 0
  for (let at = start; at < text.length; at++) {
    const character = text[at]
    if (character === '"') at = endOfString(text, at)
    else if (character === '{' || character === '[') depth++
    else if (depth === 0 && (character === ':' || character === ',' || character === '}')) return at
    else if (character === '}' || character === ']') depth--
  }
  throw new SyntaxError('The end is missing')
}

function endOfString(text: string, start: number): number {
  let at = start + 1
  while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1
  return at
}
