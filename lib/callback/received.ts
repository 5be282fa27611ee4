import type { Issue } from '../errors.js'

/** A parameter as decoded strings: its wire name and its value. */
export type Pair = readonly [name: string, text: string]

/** Identifies content that is not kept: a callback beyond the limits, or a body that cannot be read and may hold anything. */
export interface Digest {
  /** Bytes of a body; characters of a query string, or of the names and values that were read before a limit ended the reading. */
  readonly length: number
  /** SHA-256, as hex. */
  readonly hash: string
}

/** A decoded callback before its parameters are checked. The quarantine keeps it, and a replay checks it again. */
export interface Received extends Arrival {
  readonly pairs: readonly Pair[]
  /** What went wrong while the callback was read. */
  readonly issues: readonly Issue[]
  readonly repairs: readonly Repair[]
  /** Unknown names whose value was no string: after a change of the `fields` option, a replay must not take the value for one. */
  readonly untyped?: Readonly<Record<string, 'number' | 'other'>>
  /** Present if `pairs` are not kept. Such a callback cannot be replayed. */
  readonly digest?: Digest
}

/** What is kept beside the content of a callback. The ledger ignores it: callbacks that differ in nothing else are the same callback. */
export interface Arrival {
  /** Absent after `prune` and `erase`. */
  readonly via?: Via | undefined
  /** Trace context, of at most 512 characters. Nothing sets it yet. */
  readonly carrier?: string | undefined
}

/** How a callback came. `accept`: the app called `webhook.accept`. */
export type Via = RequestVia | { readonly by: 'accept' }

/** How a callback came by HTTP. Never the sender's address. The two headers hold no secret, are cut, and are safe to print. */
export interface RequestVia {
  readonly by: 'request'
  readonly method: 'GET' | 'POST' | 'PUT'
  readonly contentType?: string | undefined
  readonly userAgent?: string | undefined
  /** Absent if no secret is configured. */
  readonly credential?: CredentialPlace | undefined
  /** Whether `allowFrom` allowed the address; absent if the option is not set. */
  readonly isFromAllowed?: boolean | undefined
}

/** Where a right credential stood. `path`: the last segment of the URL's path. `route`: the route parameter `secret`. */
export type CredentialPlace = 'path' | 'route' | 'bearer' | 'basic' | 'header' | 'query'

/** Broken rules after which nobody knows what the sender meant: the answer is 400 instead of 422. */
const unreadableRules: ReadonlySet<string> = new Set(['repeated', 'escape', 'count', 'size', 'syntax'])

export function isUnreadable(issues: readonly Issue[]): boolean {
  return issues.some((issue) => unreadableRules.has(issue.rule))
}

/** More than the ten parameters can have; only the `schema` option can find as many. */
const maxIssues = 20

/** The first issue of each parameter, and each issue of no parameter once. At most 20, so that an answer stays small. */
export function limitIssues(issues: readonly Issue[]): readonly Issue[] {
  const found = firsts(issues, ({ parameter, message }) => parameter ?? message)
  return found.length > maxIssues ? found.slice(0, maxIssues) : found
}

/** A correction of a damaged value, always reported. */
export interface Repair {
  /** The documented name of the repaired parameter, or the wire name of an unknown one. */
  readonly parameter: string
  /**
   * `charset`: bytes that were not UTF-8 were read as windows-1252, or a `%` without two hex digits was kept.
   * `plus`: a space inside an e-mail address was an unencoded `+`.
   * `second-question-mark`: the parameter followed a second `?`. `amp-entity`: it followed `&amp;` instead of `&`.
   */
  readonly kind: 'charset' | 'plus' | 'second-question-mark' | 'amp-entity'
}

/** Each kind of repair once for each parameter. */
export function distinctRepairs(repairs: readonly Repair[]): readonly Repair[] {
  return firsts(repairs, ({ parameter, kind }) => `${kind} ${parameter}`)
}

/** Shared, since most callbacks have no issue and no repair. */
const none: readonly never[] = Object.freeze([])

function firsts<T>(items: readonly T[], keyOf: (item: T) => string): readonly T[] {
  if (items.length < 2) return items.length === 0 ? none : items
  const found = new Map<string, T>()
  for (const item of items) {
    const key = keyOf(item)
    if (!found.has(key)) found.set(key, item)
  }
  return [...found.values()]
}
