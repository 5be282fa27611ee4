const dots = '•••'
const address = /[^\s@<>"'(),;:]+@[^\s@<>"'(),;:]+/gu
const graphemes = new Intl.Segmenter()

/** The first letter, as people see letters. */
export function maskName(text: string): string {
  for (const { segment } of graphemes.segment(text)) return `${segment}${dots}`
  return text
}

/** robert@example.com -> r•••@e•••.com */
export function maskEmail(text: string): string {
  const at = text.lastIndexOf('@')
  if (at === -1) return maskName(text)
  const domain = text.slice(at + 1)
  const dot = domain.lastIndexOf('.')
  const end = dot === -1 ? '' : domain.slice(dot)
  return `${maskName(text.slice(0, at))}@${maskName(domain.slice(0, dot === -1 ? undefined : dot))}${end}`
}

/** Every address inside a text. */
export function maskAddresses(text: string): string {
  return text.replace(address, maskEmail)
}
