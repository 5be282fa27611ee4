const unseen = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}\p{Cs}\u200B\u2060\uFEFF]/gu

/**
 * A text from outside, for people to look at: control characters, and format characters that turn or hide what stands beside them, become
 * visible, so that no name can rewrite a line of the terminal or the page.
 */
export function printable(text: string): string {
  let shown = ''
  let end = 0
  // `replace` with a function keeps all matches until its end, and takes four times as long for many.
  for (const { 0: character, index } of text.matchAll(unseen)) {
    const code = character.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')
    shown += `${text.slice(end, index)}<U+${code}>`
    end = index + character.length
  }
  return shown + text.slice(end)
}

const longestAddress = 320
const boundary = /[\s<>"'(),;:]/u
const sign = /[@＠﹫]|%(?:25)*40/u

/**
 * A text from outside, for a place of `max` UTF-16 units: its beginning, as `mask` shows it, and how long it is. Cut before it is masked, so
 * that the work is bounded; what the cut leaves of an address is dropped, since no mask knows it any more.
 */
export function shorten(text: string, max: number, mask: (text: string) => string = unmasked): string {
  if (text.length <= max) return mask(text)
  return `${mask(text.slice(0, endBefore(text, max)))}… (${text.length.toLocaleString('en-US')} characters)`
}

function unmasked(text: string): string {
  return text
}

/** Where a text ends that may have `max` UTF-16 units and half of no letter and no address: half an address is neither masked nor found. */
export function endBefore(text: string, max: number): number {
  const isCut = (at: number) => at > 0 && !boundary.test(text.charAt(at - 1))
  let start = max
  if (isCut(max + 1)) while (isCut(start) && start > max - longestAddress) start--
  const [word = ''] = text.slice(start, max + longestAddress).split(boundary, 1)
  const end = start < max && sign.test(word) ? start : max
  return isHighSurrogate(text.charCodeAt(end - 1)) ? end - 1 : end
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff
}
