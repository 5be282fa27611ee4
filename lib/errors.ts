interface Fault {
  /** The HTTP status of the answer; absent where the fault is thrown at construction or only logged. */
  readonly status?: number
  readonly title: string
}

/**
 * Every code of the package, in the order of `docs/errors.md`.
 * `ERR_…` without a status throw while the app is being put together; with one they are answers;
 * `WRN_…` go through `process.emitWarning`, once a webhook.
 */
export const faults = {
  ERR_CONVERSION_FACTORY_UNCALLED: { title: 'conversionWebhook was mounted without being called' },
  ERR_CONVERSION_HANDLERS_INVALID: { title: 'The first argument is not an object of handlers' },
  ERR_CONVERSION_HANDLER_UNKNOWN: { title: 'No handler or observer has this name' },
  ERR_CONVERSION_HANDLER_INVALID: { title: 'A handler or observer is not a function' },
  ERR_CONVERSION_HANDLER_DUPLICATE: { title: 'This event has a handler already' },
  ERR_CONVERSION_EVENT_UNKNOWN: { title: 'No event has this name' },
  ERR_CONVERSION_OPTION_UNKNOWN: { title: 'No option has this name' },
  ERR_CONVERSION_OPTION_INVALID: { title: 'An option has a value that cannot work' },
  ERR_CONVERSION_SCHEMA_INVALID: { title: 'The schema option does not compile' },
  ERR_CONVERSION_SECRET_MISSING: { title: 'There is no secret in production' },
  ERR_CONVERSION_AUTHORIZE_MISSING: { title: 'The inspector has no authorize in production' },
  ERR_CONVERSION_SECRET_EMPTY: { title: 'A secret is empty' },
  ERR_CONVERSION_SECRET_SHORT: { title: 'A secret is too short' },
  ERR_CONVERSION_INBOX_INVALID: { title: 'The inbox option is not an inbox' },
  ERR_CONVERSION_INBOX_ATTACHED: { title: 'The inbox belongs to another webhook' },
  ERR_CONVERSION_INBOX_NEWER: { title: 'The inbox was made by a later version of the package' },
  ERR_CONVERSION_INBOX_CORRUPT: { title: 'The file of the inbox is damaged, or no SQLite database' },
  ERR_CONVERSION_NODE_UNSUPPORTED: { title: 'This version of Node has not what the inbox needs' },
  ERR_CONVERSION_DRIVER_MISSING: { title: 'A package that the inbox needs is not installed' },

  ERR_CONVERSION_ATTEMPT_LAPSED: { title: 'This attempt no longer owns its delivery' },
  ERR_CONVERSION_ORDER_TAKEN: { title: 'Another claim has the order' },
  ERR_CONVERSION_COMMIT_INVALID: { title: 'The function given to commit cannot run in its transaction' },
  ERR_CONVERSION_HANDLER_STUCK: { title: 'A handler runs on long after its time' },
  ERR_CONVERSION_DELIVERY_STOPPED: { title: 'Too many handlers are stuck, so nothing more is delivered' },

  ERR_CONVERSION_QUERY_INVALID: { title: 'An operator was asked in a way that cannot work' },
  ERR_CONVERSION_RECORD_UNKNOWN: { title: 'Nothing is recorded under this id' },
  ERR_CONVERSION_REPLAY_IMPOSSIBLE: { title: 'This cannot be replayed' },
  ERR_CONVERSION_ERASE_INCOMPLETE: { title: 'What was erased may still be in the files of the inbox' },

  ERR_CONVERSION_CALLBACK_UNREADABLE: { status: 400, title: 'The callback cannot be read' },
  ERR_CONVERSION_BODY_ABORTED: { status: 400, title: 'The body ended before it was complete' },
  ERR_CONVERSION_CREDENTIAL_REJECTED: { status: 401, title: 'The credential is wrong or missing' },
  ERR_CONVERSION_ADDRESS_REJECTED: { status: 403, title: 'Callbacks from this address are not allowed' },
  ERR_CONVERSION_PREFETCH_REJECTED: { status: 403, title: 'A prefetch or preview is not a callback' },
  ERR_CONVERSION_BROWSER_REJECTED: {
    status: 403,
    title: 'A browser does not report conversions: the platform calls this URL from its own servers',
  },
  ERR_CONVERSION_PATH_UNKNOWN: { status: 404, title: 'Not found' },
  ERR_CONVERSION_METHOD_UNSUPPORTED: { status: 405, title: 'A callback is a GET, POST or PUT' },
  ERR_CONVERSION_BODY_LATE: { status: 408, title: 'The body did not arrive in time' },
  ERR_CONVERSION_CALLBACK_CONFLICT: { status: 409, title: 'Another callback reported this conversion differently' },
  ERR_CONVERSION_BODY_OVERSIZED: { status: 413, title: 'The body is larger than 64 KiB' },
  ERR_CONVERSION_TYPE_UNSUPPORTED: { status: 415, title: 'The body is neither a form nor JSON' },
  ERR_CONVERSION_CALLBACK_REFUSED: { status: 422, title: 'The callback is not a valid conversion' },
  ERR_CONVERSION_HANDLER_FAILED: { status: 500, title: 'A handler failed' },
  ERR_CONVERSION_HANDLER_LATE: { status: 500, title: 'A handler did not finish in time' },
  ERR_CONVERSION_CONFIRM_FAILED: { status: 500, title: 'The confirm option failed' },
  ERR_CONVERSION_SCOPE_FAILED: { status: 500, title: 'The scope option failed' },
  ERR_CONVERSION_INTERNAL: { status: 500, title: 'The package itself failed' },
  ERR_CONVERSION_DELIVERY_HELD: { status: 503, title: 'The conversion is not confirmed yet' },
  ERR_CONVERSION_INBOX_UNAVAILABLE: { status: 503, title: 'The callback could not be recorded' },
  ERR_CONVERSION_INBOX_MOVED: { status: 503, title: 'The file of the inbox was moved, deleted or replaced' },
  ERR_CONVERSION_INBOX_FULL: { status: 503, title: 'The memory inbox is full of conversions that are being delivered' },
  ERR_CONVERSION_INBOX_CLOSED: { status: 503, title: 'The inbox is closed' },

  WRN_CONVERSION_SECRET_MISSING: { title: 'No secret: anybody who finds the URL can report conversions' },
  WRN_CONVERSION_INBOX_VOLATILE: { title: 'The memory inbox is used in production' },
  WRN_CONVERSION_PROXY_TRUSTED: { title: 'allowFrom reads addresses that anybody can claim' },
  WRN_CONVERSION_OBSERVER_FAILED: { title: 'An observer failed' },
} as const satisfies Readonly<Record<string, Fault>>

export type ConversionErrorCode = Extract<keyof typeof faults, `ERR_${string}`>
export type ConversionWarningCode = Extract<keyof typeof faults, `WRN_${string}`>

/**
 * Why a callback was refused, about one parameter where it is about one.
 * The message names the rule and its limit, never the text that broke it.
 */
export interface Issue {
  /** The documented name of the parameter. */
  readonly parameter?: string
  /**
   * Which rule: one of the package's own (`repeated`, `escape`, `count`, `size`, `syntax`, `type`, `required`,
   * `pattern`, `enum`, `placeholder`, `identity`, `customValue`), or `schema:<keyword>` for the `schema` option.
   */
  readonly rule: string
  readonly message: string
}

/** A sender that repeats at all should find the database up again by then. */
const retryLater = { 'Retry-After': '60' }

interface ErrorDetails {
  readonly message?: string
  readonly issues?: readonly Issue[]
  readonly headers?: Readonly<Record<string, string>>
  readonly cause?: unknown
}

/** Marks the errors of all copies of the package: a symbol of the registry is one symbol everywhere. */
const brand = Symbol.for('conversion-webhook.error')

/**
 * Everything the package throws, rejects with or hands to `next(error)`.
 * Tell kinds apart by `code` (`isConversionWebhookError` narrows): with two versions of the package in one app there are two classes.
 * The message never contains a parameter's text, a secret, a URL or a handler's error; that error is `cause`.
 */
export class ConversionWebhookError extends Error {
  static {
    Object.defineProperty(this.prototype, brand, { value: true }) // on the prototype, where no print of an error shows it
  }

  override readonly name = 'ConversionWebhookError'
  readonly code: ConversionErrorCode
  /** The HTTP status, as Express's error handler reads it; absent for construction errors. */
  readonly status: number | undefined
  /** Whether the message may be shown to the caller: true below 500, as in `http-errors`. */
  readonly expose: boolean
  /** What is wrong with a refused callback, a parameter at a time. */
  readonly issues: readonly Issue[] | undefined
  /** Headers that belong to the answer (`Allow`, `Retry-After`, `WWW-Authenticate`). */
  readonly headers: Readonly<Record<string, string>> | undefined

  constructor(code: ConversionErrorCode, details: ErrorDetails = {}) {
    const fault: Fault = faults[code]
    super(details.message ?? fault.title, 'cause' in details ? { cause: details.cause } : undefined)
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

/**
 * The coded error of whatever a storage failed with. Errors that only wrong code makes are ours, so that nobody looks for a full disk:
 * `ERR_CONVERSION_INTERNAL`. All others are the storage's: `ERR_CONVERSION_INBOX_UNAVAILABLE`.
 */
export function storageError(cause: unknown): ConversionWebhookError {
  if (isConversionWebhookError(cause)) return cause
  const isOurs = [TypeError, RangeError, ReferenceError, SyntaxError].some((Kind) => cause instanceof Kind)
  return new ConversionWebhookError(isOurs ? 'ERR_CONVERSION_INTERNAL' : 'ERR_CONVERSION_INBOX_UNAVAILABLE', { cause })
}

/** The fault's title, as answers carry it; the code itself where only a later version of the package knows it. */
export function titleOf(code: ConversionErrorCode): string {
  return Object.hasOwn(faults, code) ? faults[code].title : code
}
