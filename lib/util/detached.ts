/** V8 copies shorter strings instead of slicing them. */
const minSlice = 13

/** The same string as a copy: a slice of a long string, such as a request's URL, keeps the whole of it in memory. */
export function detached(text: string): string {
  return text.length < minSlice ? text : ` ${text}`.slice(1) // a slice of a new string that is one character longer
}
