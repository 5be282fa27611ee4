/**
 * A text from outside, for people to look at: control characters, and format characters that turn or hide what stands beside them, become
 * visible, so that no name can rewrite a line of the terminal or the page.
 */
export function visible(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}\p{Cs}\u200B\u2060\uFEFF]/gu,
    (character) => `<U+${character.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}>`,
  )
}
