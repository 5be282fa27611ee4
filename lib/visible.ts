const unseen = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}\p{Cs}\u200B\u2060\uFEFF]/gu

/**
 * A text from outside, for people to look at: control characters, and format characters that turn or hide what stands beside them, become
 * visible, so that no name can rewrite a line of the terminal or the page.
 */
export function visible(text: string): string {
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
/** What follows where a cut went through the local part of an address. */
const restOfAddress = /^[^\s<>"'(),;:@]*(?:@|%40)/iu

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

function endBefore(text: string, max: number): number {
  let end = max
  const isInAddress = restOfAddress.test(text.slice(Math.max(0, max - 2), max + longestAddress))
  if (isInAddress) while (end > 0 && !boundary.test(text.charAt(end - 1))) end--
  return isHighSurrogate(text.charCodeAt(end - 1)) ? end - 1 : end
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff
}
