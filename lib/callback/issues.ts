import type { Issue } from '../errors.js'

/** Rules about reading: with one of them broken nobody knows what was meant, so the answer is 400 instead of 422. */
const unreadableRules: ReadonlySet<string> = new Set(['repeated', 'escape', 'count', 'size', 'syntax'])

export function isUnreadable(issues: readonly Issue[]): boolean {
  return issues.some((issue) => unreadableRules.has(issue.rule))
}

/** More than the ten parameters can have; only the `schema` option can find as many. */
const maxIssues = 20

/** The first issue of each parameter, and of those about the whole each once: an answer stays small, whatever was sent. */
export function limitIssues(issues: readonly Issue[]): readonly Issue[] {
  return firsts(issues, ({ parameter, message }) => parameter ?? message).slice(0, maxIssues)
}

/** A correction of a damaged value, always reported. */
export interface Repair {
  /** The documented name of the repaired parameter, or the wire name of an unknown one. */
  readonly parameter: string
  /**
   * `charset`: bytes that were not UTF-8 were read as windows-1252, or a stray `%` stayed one.
   * `plus`: a space inside an e-mail address was an unencoded `+`.
   * `second-question-mark`: the parameter followed a second `?`. `amp-entity`: it followed `&amp;` instead of `&`.
   */
  readonly kind: 'charset' | 'plus' | 'second-question-mark' | 'amp-entity'
}

/** One of each kind a parameter. */
export function distinctRepairs(repairs: readonly Repair[]): readonly Repair[] {
  return firsts(repairs, ({ parameter, kind }) => `${kind} ${parameter}`)
}

function firsts<T>(items: readonly T[], keyOf: (item: T) => string): readonly T[] {
  if (items.length < 2) return items
  const found = new Map<string, T>()
  for (const item of items) {
    const key = keyOf(item)
    if (!found.has(key)) found.set(key, item)
  }
  return [...found.values()]
}
