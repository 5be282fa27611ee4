/**
 * Why a callback was refused, about one parameter where it is about one.
 * The message names the rule and its limit, never the text that broke it.
 */
export interface Issue {
  /** The documented name of the parameter. */
  readonly parameter?: string
  /**
   * Which rule: one of the package's own (`repeated`, `escape`, `count`, `size`, `syntax`, `charset`, `type`, `required`,
   * `pattern`, `enum`, `placeholder`, `identity`, `customValue`), or `schema:<keyword>` for the `schema` option.
   */
  readonly rule: string
  readonly message: string
}

/** Rules about reading: with one of them broken nobody knows what was meant, so the answer is 400 instead of 422. */
const unreadableRules: ReadonlySet<string> = new Set(['repeated', 'escape', 'count', 'size', 'syntax', 'charset'])

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
