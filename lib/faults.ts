export interface Fault {
  /** The HTTP status of the answer; absent if no request is answered with the fault. */
  readonly status?: number
  /** The title in answers. */
  readonly title: string
  /** The message of an error or a warning, if it says more than the title; a function if it contains values. */
  readonly message?: string | ((values: never) => string)
}

interface Name {
  /** The name that was given, cut if it is long. */
  readonly name: string
  /** The known name with the fewest edits to it. */
  readonly near: string
}

interface Option {
  readonly option: string
  readonly must: string
  readonly got?: string | undefined
}

const withoutSecret = 'Without a secret anybody can report conversions'
const secretWays =
  'set the environment variable CONVERSION_WEBHOOK_SECRET, pass the secret option, or pass secret: false if you protect this mount yourself'

/** What a function given to `commit` did wrong. */
const commitFaults = {
  promise: 'must be synchronous: it runs inside a SQLite transaction. Do what is asynchronous before commit',
  ended:
    'ended the transaction that it runs in. What it did may be committed, so nothing repeats it: look at it, then replay',
  endsOurs: 'sent COMMIT or ROLLBACK: return to commit, throw to roll back',
  overlaps: 'has transactions that overlap: await one before the next begins',
  open: 'left a transaction open: await what it begins',
  settled: 'has settled: its client takes no more statements',
  failed:
    'went on after a statement had failed, so its transaction is rolled back: let what fails throw, or use a savepoint',
  cannotNest:
    'sent a statement that cannot be part of its transaction: another isolation level or mode, AND CHAIN, PREPARE TRANSACTION, ' +
    'a savepoint of the package, or one that begins or ends a transaction among others in one string',
} as const

/** Why a delivery or a quarantined callback cannot be replayed. */
const replayFaults = {
  emptied: 'its payload was pruned or erased',
  digest: 'only its length and hash were kept',
  again: 'the callback was replayed already',
  holderRuns: 'a delivery of the claim that has the order is running; try again when it has ended',
  claimGone: 'the claim that the conflict agrees with is no longer recorded',
  contradicts: 'the conflict contradicts its claim by now',
  tooMany: 'replayed callbacks that wait for a process with handlers fill half of the quarantine',
} as const

/** Why a value cannot be used as an inbox. */
const inboxFaults = {
  option: 'inbox must be an inbox that was made, such as memoryInbox() or sqliteInbox(file)',
  inspector: 'conversionInspector takes an inbox: conversionInspector(webhook.inbox)',
  deliveries: 'deliveries takes an inbox: deliveries(webhook.inbox)',
  unattached: 'The inbox belongs to no webhook yet: pass it to conversionWebhook as the option inbox',
} as const

/**
 * Every code of the package and its words, in the order of `docs/errors.md`. An `ERR_…` with a status is an answer to a callback; one without
 * is thrown to the app. A `WRN_…` is passed to `process.emitWarning`, once a webhook or inspector.
 */
export const faults = {
  ERR_CONVERSION_FACTORY_UNCALLED: {
    title: 'conversionWebhook was mounted without being called',
    message: "conversionWebhook was mounted uncalled: write app.use('/webhook', conversionWebhook({ … })).",
  },
  ERR_CONVERSION_HANDLERS_INVALID: {
    title: 'The first argument is not an object of handlers',
    message: ({ got }: { readonly got: string }) =>
      `conversionWebhook takes an object of handlers first, such as { onSuccess(conversion) { … } }, not ${got}.`,
  },
  ERR_CONVERSION_HANDLER_UNKNOWN: {
    title: 'No handler or observer has this name',
    message: ({ name, near, isOption }: Name & { readonly isOption: boolean }) =>
      isOption
        ? `${name} is an option, and options come second: conversionWebhook({ onSuccess(conversion) { … } }, { ${name} }).`
        : `There is no handler or observer ${name}; did you mean ${near}?`,
  },
  ERR_CONVERSION_HANDLER_INVALID: {
    title: 'A handler or observer is not a function',
    message: ({ name, got }: { readonly name: string; readonly got: string }) =>
      `${name} must be a function of (conversion, context), not ${got}.`,
  },
  ERR_CONVERSION_HANDLER_DUPLICATE: {
    title: 'This event has a handler already',
    message: ({ event }: { readonly event: string }) =>
      `${event} has a handler already: call both from one function, so that both succeed or are tried again together.`,
  },
  ERR_CONVERSION_EVENT_UNKNOWN: {
    title: 'No event has this name',
    message: ({ name, near, observer }: Name & { readonly observer: string | undefined }) =>
      observer === undefined
        ? `There is no event ${name}; did you mean ${near}?`
        : `There is no event ${name}: ${observer} is an observer, and observers stand in the first argument of conversionWebhook.`,
  },
  ERR_CONVERSION_OPTION_UNKNOWN: {
    title: 'No option has this name',
    message: ({ name, near, isHandler = false }: Name & { readonly isHandler?: boolean }) =>
      isHandler
        ? `${name} is a handler or observer, and those come first: conversionWebhook({ ${name}() { … } }, options).`
        : `There is no option ${name}; did you mean ${near}?`,
  },
  ERR_CONVERSION_OPTION_INVALID: {
    title: 'An option has a value that cannot work',
    message: ({ option, must, got }: Option) => `${option} must ${must}${got === undefined ? '' : `, not ${got}`}.`,
  },
  ERR_CONVERSION_SCHEMA_INVALID: {
    title: 'The schema option does not compile',
    message: (fault: { readonly said?: string; readonly got?: string } | { readonly cannot: string } | Name) => {
      if ('name' in fault) return `schema names ${fault.name}, which no callback has: did you mean ${fault.near}?`
      if ('cannot' in fault) return `schema cannot work: ${fault.cannot}.`
      if (fault.said !== undefined) return `schema does not compile: ${fault.said}`
      const got = fault.got === undefined ? '' : `, not ${fault.got}`
      return `schema must be a synchronous JSON Schema object, such as { required: ["orderID"] }${got}.`
    },
  },
  ERR_CONVERSION_SECRET_MISSING: {
    title: 'There is no secret in production',
    message: `${withoutSecret}: ${secretWays}.`,
  },
  ERR_CONVERSION_AUTHORIZE_MISSING: {
    title: 'The inspector has no authorize in production',
    message: 'In production conversionInspector needs authorize: (req) => whether this person may see conversions.',
  },
  ERR_CONVERSION_SECRET_EMPTY: {
    title: 'A secret is empty',
    message: ({ min }: { readonly min: number }) => `A secret is empty; it needs at least ${String(min)} characters.`,
  },
  ERR_CONVERSION_SECRET_SHORT: {
    title: 'A secret is too short',
    message: ({ min }: { readonly min: number }) =>
      `A secret needs at least ${String(min)} characters that can be seen: node -p "crypto.randomBytes(24).toString('base64url')" makes a good one.`,
  },
  ERR_CONVERSION_INBOX_INVALID: {
    title: 'The inbox option is not an inbox',
    message: ({ why, got }: { readonly why: keyof typeof inboxFaults; readonly got?: string }) =>
      `${inboxFaults[why]}${got === undefined ? '' : `, not ${got}`}.`,
  },
  ERR_CONVERSION_INBOX_ATTACHED: {
    title: 'The inbox belongs to another webhook',
    message: 'This inbox belongs to another webhook: make one inbox for each, or mount the one webhook twice.',
  },
  ERR_CONVERSION_INBOX_NEWER: {
    title: 'The inbox was made by a later version of the package',
    message: ({ what, found, known }: { readonly what: string; readonly found: number; readonly known: number }) =>
      `${what} of version ${String(found)}, and this version of the package knows ${String(known)}: update the package.`,
  },
  ERR_CONVERSION_INBOX_CORRUPT: {
    title: 'The inbox holds something that cannot be read',
    message: ({ what, must }: { readonly what: string; readonly must?: string }) =>
      `${what}: ${must ?? 'restore it from a backup, or remove it.'}`,
  },
  ERR_CONVERSION_NODE_UNSUPPORTED: {
    title: 'This version of Node has not what the inbox needs',
    message: ({ what, needs, has }: { readonly what: string; readonly needs: string; readonly has: string }) =>
      `${what} needs Node ${needs} or later; this is ${has}.`,
  },
  ERR_CONVERSION_DRIVER_MISSING: {
    title: 'A package that the inbox needs is not installed',
    message: 'postgresInbox needs two packages more: npm install pg-boss@12 pg@8',
  },

  ERR_CONVERSION_ATTEMPT_LAPSED: { title: 'This attempt no longer owns its delivery' },
  ERR_CONVERSION_ORDER_TAKEN: { title: 'Another claim has the order' },
  ERR_CONVERSION_COMMIT_INVALID: {
    title: 'The function given to commit cannot run in its transaction',
    message: ({ why }: { readonly why: CommitFault }) => `The function given to commit ${commitFaults[why]}.`,
  },
  ERR_CONVERSION_HANDLER_STUCK: {
    title: 'A handler runs on long after its time',
    message: ({ event, ms }: { readonly event: string; readonly ms: number }) =>
      `The handler of ${event} still runs, ${String(ms)} ms after its signal was aborted. Until it ends, nothing else of its conversion is delivered. Give each call that the handler waits for a time limit, or pass context.signal to it.`,
  },
  ERR_CONVERSION_DELIVERY_STOPPED: {
    title: 'Too many handlers are stuck, so nothing more is delivered',
    message: ({ stuck }: { readonly stuck: number }) =>
      `${String(stuck)} handlers are stuck, which is the limit, so this process delivers nothing more until one of them ends. A durable inbox still records callbacks. Find out what the handlers wait for, then restart the process.`,
  },

  ERR_CONVERSION_QUERY_INVALID: {
    title: 'An operator was asked in a way that cannot work',
    message: ({ name, must }: { readonly name: string; readonly must: string }) =>
      `Invalid query: ${name} must ${must}.`,
  },
  ERR_CONVERSION_RECORD_UNKNOWN: { title: 'Nothing is recorded under this id' },
  ERR_CONVERSION_REPLAY_IMPOSSIBLE: {
    title: 'This cannot be replayed',
    message: (fault: ReplayFault) =>
      `This cannot be replayed: ${'why' in fault ? replayFaults[fault.why] : `the delivery is ${fault.state}`}.`,
  },
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
  ERR_CONVERSION_HANDLER_LATE: {
    status: 500,
    title: 'A handler did not finish in time',
    message: ({ event, ms }: { readonly event: string; readonly ms: number }) =>
      `The handler of ${event} did not finish within ${String(ms)} ms.`,
  },
  ERR_CONVERSION_CONFIRM_FAILED: { status: 500, title: 'The confirm option failed' },
  ERR_CONVERSION_SCOPE_FAILED: { status: 500, title: 'The scope option failed' },
  ERR_CONVERSION_INTERNAL: { status: 500, title: 'The package itself failed' },
  ERR_CONVERSION_DELIVERY_HELD: { status: 503, title: 'The conversion is not confirmed yet' },
  ERR_CONVERSION_INBOX_UNAVAILABLE: {
    status: 503,
    title: 'The callback could not be recorded',
    message: ({ why }: { readonly why: string }) => `The inbox cannot be opened: ${why}.`,
  },
  ERR_CONVERSION_INBOX_MOVED: { status: 503, title: 'The file of the inbox was moved, deleted or replaced' },
  ERR_CONVERSION_INBOX_FULL: { status: 503, title: 'The memory inbox is full of conversions that are being delivered' },
  ERR_CONVERSION_INBOX_CLOSED: { status: 503, title: 'The inbox is closed' },

  WRN_CONVERSION_SECRET_MISSING: {
    title: 'No secret: anybody who finds the URL can report conversions',
    message: `${withoutSecret}; in production this throws. Please ${secretWays}.`,
  },
  WRN_CONVERSION_AUTHORIZE_MISSING: {
    title: 'No authorize: a printed token opens the inspector once, on this machine',
    message: ({ token }: { readonly token: string }) =>
      `The inspector has no authorize. To open it once, on this machine, put ?token=${token} at the end of its URL. To let others in, pass authorize.`,
  },
  WRN_CONVERSION_INBOX_VOLATILE: {
    title: 'The memory inbox is used in production',
    message: 'The memory inbox forgets with the process, and a handler that fails gets no second try.',
  },
  WRN_CONVERSION_PROXY_TRUSTED: {
    title: 'allowFrom reads addresses that anybody can claim',
    message: "With 'trust proxy' true, allowFrom believes any X-Forwarded-For; name your proxies instead.",
  },
  WRN_CONVERSION_OBSERVER_FAILED: {
    title: 'An observer failed',
    message: ({ name }: { readonly name: string }) => `${name} failed; an observer must not throw.`,
  },
} as const satisfies Readonly<Record<string, Fault>>

export type ConversionErrorCode = Extract<keyof typeof faults, `ERR_${string}`>
export type ConversionWarningCode = Extract<keyof typeof faults, `WRN_${string}`>
export type CommitFault = keyof typeof commitFaults
export type ReplayFault = { readonly why: keyof typeof replayFaults } | { readonly state: string }

/** The values that the message of a code contains; `never` if it contains none. */
export type ValuesOf<Code extends keyof typeof faults> = (typeof faults)[Code] extends {
  readonly message: (values: infer Values) => string
}
  ? Values
  : never

/** The message of a fault; the title if the message needs values and none are given. */
export function messageOf({ title, message }: Fault, values: unknown): string {
  if (typeof message === 'string') return message
  return message === undefined || values === undefined ? title : message(values as never)
}
