import type { Issue } from '../errors.js'

/** Rules about reading: with one of them broken nobody knows what was meant, so the answer is 400 instead of 422. */
const unreadableRules: ReadonlySet<string> = new Set(['repeated', 'escape', 'count', 'size', 'syntax'])

export function isUnreadable(issues: readonly Issue[]): boolean {
  return issues.some((issue) => unreadableRules.has(issue.rule))
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
