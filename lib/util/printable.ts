const unseen = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}\p{Cs}\u200B\u2060\uFEFF]/gu

/**
 * Makes a string from outside safe to show: control characters, and format characters that reorder or hide their neighbours, become
 * `<U+202E>`. Otherwise a name could rewrite a line of the terminal or the page.
 */
export function printable(text: string): string {
  let shown = ''
  let end = 0
  // `replace` with a function collects all matches first, which is four times slower for many.
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
 * Masks a string from outside and cuts it to `max` UTF-16 units; a cut string ends in its full length. Cutting comes first, so that the
 * work is bounded. An address that the cut would split is dropped whole, since no mask recognises half of one.
 */
export function shorten(text: string, max: number, mask = (shown: string) => shown): string {
  if (text.length <= max) return mask(text)
  return `${mask(text.slice(0, endBefore(text, max)))}… (${text.length.toLocaleString('en-US')} characters)`
}

/** Where to cut a string of more than `max` UTF-16 units so that no surrogate pair and no address is split. */
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
