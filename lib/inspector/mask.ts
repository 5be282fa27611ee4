const dots = '•••'
/** Greedy runs of one character class each, so that no string makes a search backtrack. */
const words = /\S+/gu
const parts = /[^\s<>"'(),;:]+/gu
/** Also a percent-encoded @, encoded several times over, and the full-width and small forms. */
const at = /[@＠﹫]|%(?:25)*40/gu
/** The last dot of a domain and the top-level domain. The characters after it do not belong to the domain. */
const ending = /^\.(?:xn--[a-z\d-]+|[\p{L}\p{M}]+)/iu
const saysSomething = /[\p{L}\p{N}]/u
const graphemes = new Intl.Segmenter()

const longestLetter = 64
/** No combining mark is ASCII, so these letters need no segmenter, which takes a hundred times as long. */
const plainLetter = /^[ -~](?![^ -~])/u

/** The first letter as people see it, which can be several characters, and dots. */
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
  const end = dot === -1 ? '' : maskEnd(domain.slice(dot))
  return `${maskName(text.slice(0, found.start))}@${maskName(domain.slice(0, dot === -1 ? undefined : dot))}${end}`
}

/** The top-level domain, and dots for a name or a number after it. */
function maskEnd(text: string): string {
  const [shown = ''] = ending.exec(text) ?? []
  const rest = text.slice(shown.length)
  return shown + (saysSomething.test(rest) ? dots : rest)
}

/** Masks every address in a string. Masks the whole word if punctuation stands before an @, as in `"Eva"@example.com`. */
export function maskAddresses(text: string): string {
  return text.replace(words, (word) => {
    const ofAddresses = (word.match(parts) ?? []).map(lastAt).filter((found) => found !== undefined)
    if (ofAddresses.some(({ start }) => start === 0)) return maskEmail(word)
    return ofAddresses.length === 0 ? word : word.replace(parts, maskPart)
  })
}

const maskPart = (part: string): string => (lastAt(part) === undefined ? part : maskEmail(part))

function lastAt(text: string): { readonly start: number; readonly end: number } | undefined {
  let last: { start: number; end: number } | undefined
  for (const { index, 0: sign } of text.matchAll(at)) last = { start: index, end: index + sign.length }
  return last
}
