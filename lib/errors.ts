import { kindOf } from './util/kind-of.js'
import { faults, messageOf, type ConversionErrorCode, type Fault, type ValuesOf } from './faults.js'

export type { CommitFault, ConversionErrorCode, ConversionWarningCode, ReplayFault } from './faults.js'

/** One reason why a callback was refused. The message names the rule and its limit, never the string that broke the rule. */
export interface Issue {
  /** The documented name of the parameter, if the issue is about a single one. */
  readonly parameter?: string
  /**
   * The broken rule: one of the package's own (`repeated`, `escape`, `count`, `size`, `syntax`, `type`, `required`,
   * `pattern`, `enum`, `placeholder`, `identity`, `customValue`), or `schema:<keyword>` for the `schema` option.
   */
  readonly rule: string
  readonly message: string
}

/** Seconds after which a sender may try again: a restart of a database takes less. */
const retryLater = { 'Retry-After': '60' }

interface ErrorDetails {
  readonly issues?: readonly Issue[]
  readonly headers?: Readonly<Record<string, string>>
  readonly cause?: unknown
}

/** Codes whose errors can be made without values. */
export type PlainCode = {
  [Code in ConversionErrorCode]: [ValuesOf<Code>] extends [never]
    ? Code
    : (typeof faults)[Code] extends { readonly status: number }
      ? Code
      : never
}[ConversionErrorCode]

type ErrorArguments =
  | readonly [code: PlainCode, details?: ErrorDetails]
  | {
      readonly [Code in ConversionErrorCode]: readonly [
        code: Code,
        details: ErrorDetails & { readonly values: ValuesOf<Code> },
      ]
    }[ConversionErrorCode]

/** Marks the errors of all copies of the package: `Symbol.for` returns the same symbol in each of them. */
const brand = Symbol.for('conversion-webhook.error')

/**
 * Every error that the package throws, rejects with or passes to `next(error)`.
 * Compare `code`, after `isConversionWebhookError`; `instanceof` fails if an app has two versions of the package.
 * The message never contains the value of a parameter, a secret, a URL or a handler's error; that error is `cause`.
 */
export class ConversionWebhookError extends Error {
  static {
    Object.defineProperty(this.prototype, brand, { value: true }) // on the prototype, so that no printed error shows the brand
  }

  override readonly name = 'ConversionWebhookError'
  readonly code: ConversionErrorCode
  /** The HTTP status, which Express's error handler reads; undefined for errors that answer no request. */
  readonly status: number | undefined
  /** Whether the message may be shown to the caller: true below 500, as in `http-errors`. */
  readonly expose: boolean
  /** What is wrong with a refused callback. */
  readonly issues: readonly Issue[] | undefined
  /** Headers of the answer (`Allow`, `Retry-After`, `WWW-Authenticate`). */
  readonly headers: Readonly<Record<string, string>> | undefined

  constructor(...[code, details = {}]: ErrorArguments) {
    const fault: Fault = faults[code]
    const message = messageOf(fault, 'values' in details ? details.values : undefined)
    super(message, 'cause' in details ? { cause: details.cause } : undefined)
    this.code = code
    this.status = fault.status
    this.expose = fault.status !== undefined && fault.status < 500
    this.issues = details.issues
    this.headers = details.headers ?? (fault.status === 503 ? retryLater : undefined)
  }
}

type StatusOf<Code extends ConversionErrorCode> = (typeof faults)[Code] extends { readonly status: infer Status }
  ? Status
  : undefined

type IssuesOf<Code extends ConversionErrorCode> = Code extends
  'ERR_CONVERSION_CALLBACK_UNREADABLE' | 'ERR_CONVERSION_CALLBACK_REFUSED'
  ? readonly Issue[]
  : undefined

/** An error of one of the codes, with the `status` and `issues` that this code has: comparing `code` narrows them. */
export type ConversionError<Code extends ConversionErrorCode = ConversionErrorCode> = {
  [Each in Code]: ConversionWebhookError & {
    readonly code: Each
    readonly status: StatusOf<Each>
    readonly issues: IssuesOf<Each>
  }
}[Code]

/**
 * True for every error of this package, whichever copy or version of the package made the error. An error of a later version may have a
 * code that this version's types do not list.
 */
export function isConversionWebhookError(error: unknown): error is ConversionError {
  return typeof error === 'object' && error !== null && brand in error
}

/** The error for an option, and what the option must do or be. `got` is the given value, of which the message tells the kind. */
export function invalidOption(option: string, must: string, ...got: readonly [got?: unknown]): ConversionWebhookError {
  const values = { option, must, ...(got.length > 0 && { got: kindOf(got[0]) }) }
  return new ConversionWebhookError('ERR_CONVERSION_OPTION_INVALID', { values })
}

/**
 * Wraps an error of a storage as `ERR_CONVERSION_INBOX_UNAVAILABLE`. Wraps a `TypeError` and its like, which only a bug in the package throws,
 * as `ERR_CONVERSION_INTERNAL`, so that nobody looks for a full disk.
 */
export function storageError(cause: unknown): ConversionWebhookError {
  if (isConversionWebhookError(cause)) return cause
  const isOurs = [TypeError, RangeError, ReferenceError, SyntaxError].some((Kind) => cause instanceof Kind)
  return new ConversionWebhookError(isOurs ? 'ERR_CONVERSION_INTERNAL' : 'ERR_CONVERSION_INBOX_UNAVAILABLE', { cause })
}

/** The title of a code in answers; the code itself if only a later version of the package knows the code. */
export function titleOf(code: ConversionErrorCode): string {
  return Object.hasOwn(faults, code) ? faults[code].title : code
}
