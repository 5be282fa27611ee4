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
