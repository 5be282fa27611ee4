import { ConversionWebhookError } from '../../errors.js'
import { isRecord } from '../../util/kind-of.js'

/** A stored value that this code cannot read. It holds nothing of the value, which may be personal. */
export class Unreadable extends Error {
  /** The version of the value, where that is a later one than this code knows, and the latest that it knows. */
  readonly versions: { readonly found: number; readonly known: number } | undefined

  constructor(versions?: { readonly found: number; readonly known: number }) {
    super('A stored value cannot be read.')
    this.versions = versions
  }
}

/** The coded error of a value that cannot be read: it names the column, and nothing of what the column holds. */
export function unreadableIn(table: string, column: string, { versions }: Unreadable): ConversionWebhookError {
  const where = `The column ${column} of ${table} holds a value`
  return versions === undefined
    ? new ConversionWebhookError('ERR_CONVERSION_INBOX_CORRUPT', { values: { what: `${where} that is damaged` } })
    : new ConversionWebhookError('ERR_CONVERSION_INBOX_NEWER', { values: { what: where, ...versions } })
}

/* What a value is, or `Unreadable`. */

export function aString(value: unknown): string {
  if (typeof value !== 'string') throw new Unreadable()
  return value
}

export function aNumber(value: unknown): number {
  if (typeof value !== 'number' || !Number.isFinite(value)) throw new Unreadable()
  return value
}

export function aBoolean(value: unknown): boolean {
  if (typeof value !== 'boolean') throw new Unreadable()
  return value
}

export function anArray(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new Unreadable()
  return value
}

type Fields = Readonly<Record<string, unknown>>

/** An object with any names. */
export function anObject(value: unknown): Fields {
  if (!isRecord(value)) throw new Unreadable()
  return value
}

/** An object with no other names than these: what is not known would be lost when the value is written again. */
export function fieldsOf(value: unknown, known: ReadonlySet<string>): Fields {
  const fields = anObject(value)
  for (const name in fields) if (!known.has(name)) throw new Unreadable()
  return fields
}

export function strings(value: unknown): Readonly<Record<string, string>> {
  const fields = anObject(value)
  if (!isStrings(fields)) throw new Unreadable()
  return fields
}

function isStrings(fields: Fields): fields is Readonly<Record<string, string>> {
  for (const name in fields) if (typeof fields[name] !== 'string') return false
  return true
}

/** One of some words. All of a type's words must be given, so that a new one is not forgotten here. */
export function oneOf<Word extends string>(words: Readonly<Record<Word, true>>): (value: unknown) => Word {
  const isWord = (value: unknown): value is Word => typeof value === 'string' && Object.hasOwn(words, value)
  return (value) => {
    if (!isWord(value)) throw new Unreadable()
    return value
  }
}

/** What is there; undefined where it is not. */
export function maybe<From, T>(value: From | undefined, read: (value: From) => T): T | undefined {
  return value === undefined ? undefined : read(value)
}

/** Reads a value by the reader of its version: the first is of version 1. */
export function decode<T>(text: string, ...readers: readonly ((value: unknown) => T)[]): T {
  const value = parsed(text)
  const version = anObject(value).v
  if (typeof version !== 'number') throw new Unreadable()
  const read = readers[version - 1]
  if (read !== undefined) return read(value)
  throw new Unreadable(version > readers.length ? { found: version, known: readers.length } : undefined)
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new Unreadable() // not the parser's error, which quotes the text
  }
}

export const names = (...known: readonly string[]): ReadonlySet<string> => new Set(known)
