import { validateHeaderName, validateHeaderValue } from 'node:http'
import { InvalidArgumentError } from 'commander'

/** An http or https URL. */
export function webUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !['http:', 'https:'].includes(url.protocol)) {
    throw new InvalidArgumentError('Expected a URL that begins with https:// or http://.')
  }
  return url
}

/** A whole number from `min` to `max`. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN
    if (value >= min && value <= max) return value
    throw new InvalidArgumentError(`Expected a whole number from ${String(min)} to ${String(max)}.`)
  }
}

/** An option `name=value` that can be repeated. */
export function assignments(text: string, before: Readonly<Record<string, string>> = {}): Record<string, string> {
  return { ...before, ...split(text, '=', 'Expected a name, = and a value.') }
}

/** An option `Name: value` that can be repeated. */
export function headers(text: string, before: Readonly<Record<string, string>> = {}): Record<string, string> {
  const line = split(text, ':', 'Expected a name, : and a value.')
  for (const [name, value] of Object.entries(line)) {
    try {
      validateHeaderName(name)
      validateHeaderValue(name, value)
    } catch {
      throw new InvalidArgumentError('The name or the value has a character that HTTP headers cannot hold.')
    }
  }
  return { ...before, ...line }
}

function split(text: string, mark: string, message: string): Record<string, string> {
  const at = text.indexOf(mark)
  if (at < 1) throw new InvalidArgumentError(message)
  return { [text.slice(0, at).trim()]: text.slice(at + 1).trim() }
}
