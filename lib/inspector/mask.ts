const dots = '•••'
/** Greedy runs of one class each, so that no text makes a search begin again. */
const words = /\S+/gu
const parts = /[^\s<>"'(),;:]+/gu
/** Also where an address is percent-encoded once more. */
const at = /@|%40/giu
const graphemes = new Intl.Segmenter()

const longestLetter = 64
/** Marks that join what is before them are beyond ASCII, and asking the segmenter takes a hundred times as long. */
const plainLetter = /^[ -~](?![^ -~])/u

/** The first letter, as people see letters. */
export function maskName(text: string): string {
  if (text === '') return ''
  if (plainLetter.test(text)) return text.charAt(0) + dots
  const [first] = graphemes.segment(text.slice(0, longestLetter))
  return (first?.segment ?? '') + dots
}

/** robert@example.com -> r•••@e•••.com */
export function maskEmail(text: string): string {
  const found = lastAt(text)
  if (found === undefined) return maskName(text)
  const domain = text.slice(found.end)
  const dot = domain.lastIndexOf('.')
  const end = dot === -1 ? '' : domain.slice(dot)
  return `${maskName(text.slice(0, found.start))}@${maskName(domain.slice(0, dot === -1 ? undefined : dot))}${end}`
}

/** Every address inside a text. Where a mark parts an address from its @, as in `"Eva"@example.com`, the whole word is masked. */
export function maskAddresses(text: string): string {
  return text.replace(words, (word) => {
    const ofAddresses = (word.match(parts) ?? []).map(lastAt).filter((found) => found !== undefined)
    if (ofAddresses.some(({ start }) => start === 0)) return maskEmail(word)
    return ofAddresses.length === 0 ? word : word.replace(parts, maskPart)
  })
}

function maskPart(part: string): string {
  return lastAt(part) === undefined ? part : maskEmail(part)
}

function lastAt(text: string): { readonly start: number; readonly end: number } | undefined {
  let last: { start: number; end: number } | undefined
  for (const { index, 0: sign } of text.matchAll(at)) last = { start: index, end: index + sign.length }
  return last
}
