import { requireSync } from './util/require-sync.js'
import { addressMatcher } from './callback/address.js'
import {
  credentialRemover,
  isLongEnough,
  minSecretLength,
  secretFinder,
  secretMatcher,
  tokenName,
  type CredentialRemover,
  type Matcher,
} from './callback/credentials.js'
import type { ReadingRules } from './callback/conversion.js'
import { aScope, isScope, scopeHoldsSecret, type WebhookRequest } from './callback/route.js'
import { readingOptionNames, readingRules, requireOptions, type ReadingOptions } from './callback/reading-options.js'
import { ConversionWebhookError, invalidOption } from './errors.js'
import { knownNames, type Confirm } from './handlers.js'
import type { Inbox } from './inbox/inbox.js'
import { memoryInbox } from './inbox/memory-inbox.js'
import { kindOf } from './util/kind-of.js'
import type { Reporter } from './observers.js'

/** A function of the request, whichever framework's request type it names. */
type OfRequest<Result> = { bivarianceHack(req: WebhookRequest): Result }['bivarianceHack']

/** The second argument of `conversionWebhook`; every option with its examples is in `docs/reference.md`. */
export interface ConversionWebhookOptions<Custom = string, Commit = undefined> extends ReadingOptions<Custom> {
  /**
   * What a callback must carry, at least 16 characters: as the last path segment, a route parameter `secret`, `Authorization` (Bearer, or
   * Basic's password), the header `X-Webhook-Secret` or the query parameter `token`. Of a list, or a comma-separated text, any one matches,
   * for rotation.
   * `false`: the mount is protected by other means. Without a secret a webhook warns, and throws where `NODE_ENV` is `production`.
   * @defaultValue the environment variable `CONVERSION_WEBHOOK_SECRET`
   */
  readonly secret?: string | readonly string[] | false | undefined
  /**
   * Addresses and CIDR ranges that callbacks may come from, or a function of the request, in addition to a secret. Looks at Express's
   * `req.ip`, so the app's `trust proxy` decides; elsewhere at the socket. Others get 403, and so do all when the function throws.
   */
  readonly allowFrom?: string | readonly string[] | OfRequest<boolean> | undefined
  /**
   * Asked in the delivery of `success` and `goalComplete`, before the handler and within its time: `false` ends the delivery unpaid,
   * `'hold'` asks again later (memory inbox: 503), a throw is a failed attempt. Asked once a delivery.
   */
  readonly confirm?: Confirm<NoInfer<Custom>, NoInfer<Commit>> | undefined
  /** Where conversions are recorded before the answer. One inbox belongs to one webhook. @defaultValue `memoryInbox()` */
  readonly inbox?: Inbox<Commit> | undefined
  /**
   * The campaign that a callback belongs to, so that two campaigns cannot take each other's conversions for repeats. A function must
   * return a text at once; where it throws, the answer is 500.
   * @defaultValue the route parameters other than `secret`, percent-encoded and joined by `/`; never the mount path
   */
  readonly scope?: string | OfRequest<string> | undefined
  /** Whether the middleware answers. `false`: it sets `req.conversion` and calls `next()`, or `next(error)`. @defaultValue true */
  readonly respond?: boolean | undefined
  /** Whether `req.url` and `req.originalUrl` lose query and path secret before we answer, for access logs. @defaultValue true */
  readonly scrubUrl?: boolean | undefined
  /**
   * Milliseconds `confirm` and handler may take before the attempt counts as failed. The handler is not killed: it sees `context.signal`
   * abort, and its retry waits for its end. When it has run for as long once more, it gives its slot to others and is told to `onError` as stuck.
   * @defaultValue 30_000: longer than a payment API's own timeout, shorter than a deploy's grace period
   */
  readonly handlerTimeoutMs?: number | undefined
  /** Failed attempts after which a delivery is dead; durable inboxes only. @defaultValue 12 */
  readonly maxAttempts?: number | undefined
  /**
   * Deliveries at a time, beside stuck handlers; at ten times as many of these the process delivers nothing more until one ends.
   * @defaultValue 10
   */
  readonly concurrency?: number | undefined
  /** Milliseconds a delivery may be held by `confirm` before it is dead; durable inboxes only. @defaultValue 604_800_000 (7 days) */
  readonly maxHoldMs?: number | undefined
  /** Milliseconds `close()` waits for running handlers before it aborts them. @defaultValue 10_000 */
  readonly closeTimeoutMs?: number | undefined
}

/** The options after checks and defaults. */
export interface Settings {
  readonly isProduction: boolean
  readonly rules: ReadingRules
  readonly parseCustomValue: ((text: string) => unknown) | undefined
  readonly confirm: ((conversion: never, context: never) => unknown) | undefined
  /** Absent where nothing but the path decides. */
  readonly matchesSecret: Matcher | undefined
  readonly withoutCredential: CredentialRemover | undefined
  readonly holdsSecret: ((text: string) => boolean) | undefined
  readonly isAllowed: ((req: WebhookRequest) => boolean) | undefined
  readonly inbox: Inbox
  readonly scope: string | ((req: WebhookRequest) => unknown) | undefined
  readonly respond: boolean
  readonly scrubUrl: boolean
  readonly handlerTimeoutMs: number
  readonly maxAttempts: number
  readonly concurrency: number
  readonly maxHoldMs: number
  readonly closeTimeoutMs: number
}

/** What setTimeout can count to: more would fire at once. */
const maxTimeoutMs = 2_147_483_647

const numbers = {
  handlerTimeoutMs: { fallback: 30_000, max: maxTimeoutMs },
  maxAttempts: { fallback: 12, max: 1_000 },
  concurrency: { fallback: 10, max: 10_000 },
  maxHoldMs: { fallback: 7 * 24 * 60 * 60 * 1_000, max: Number.MAX_SAFE_INTEGER },
  closeTimeoutMs: { fallback: 10_000, max: maxTimeoutMs },
} as const

export const optionNames: readonly string[] = [
  ...readingOptionNames,
  ...['secret', 'allowFrom', 'confirm', 'inbox', 'scope', 'respond', 'scrubUrl'],
  ...Object.keys(numbers),
]

/** Every option checked and every default filled in, once. Throws `ERR_CONVERSION_OPTION_…`, `…_SECRET_…`, `…_SCHEMA_…`, `…_INBOX_…`. */
export function resolveOptions(options: unknown, reporter: Reporter): Settings {
  requireOptions(options, optionNames, knownNames)
  const given = options as ConversionWebhookOptions<unknown, unknown>
  const isProduction = process.env.NODE_ENV === 'production'
  if (given.confirm !== undefined && typeof given.confirm !== 'function')
    throw invalidOption('confirm', 'be a function', given.confirm)
  if (given.scope !== undefined && typeof given.scope !== 'function' && !isScope(given.scope)) {
    throw invalidOption('scope', `be ${aScope}, or a function of the request that returns one`)
  }
  const rules = readingRules(given)
  const secrets = resolveSecrets(given.secret, isProduction, reporter)
  if (secrets && rules.wireNames.has(tokenName)) {
    throw invalidOption('fields', `leave ${tokenName} alone: while there is a secret, this parameter may carry it`)
  }
  const holdsSecret = secrets && secretFinder(secrets)
  if (typeof given.scope === 'string' && holdsSecret?.(given.scope) === true) throw scopeHoldsSecret()
  return Object.freeze({
    isProduction,
    rules,
    parseCustomValue: given.parseCustomValue,
    confirm: given.confirm,
    matchesSecret: secrets && secretMatcher(secrets),
    withoutCredential: secrets && credentialRemover(secrets, rules.wireNames),
    holdsSecret,
    isAllowed: resolveAllowFrom(given.allowFrom, reporter),
    inbox: resolveInbox(given.inbox, isProduction, reporter),
    scope: given.scope,
    respond: toBoolean('respond', given.respond),
    scrubUrl: toBoolean('scrubUrl', given.scrubUrl),
    handlerTimeoutMs: toNumber('handlerTimeoutMs', given.handlerTimeoutMs),
    maxAttempts: toNumber('maxAttempts', given.maxAttempts),
    concurrency: toNumber('concurrency', given.concurrency),
    maxHoldMs: toNumber('maxHoldMs', given.maxHoldMs),
    closeTimeoutMs: toNumber('closeTimeoutMs', given.closeTimeoutMs),
  })
}

function toBoolean(name: string, value: unknown): boolean {
  if (value === undefined) return true
  if (typeof value !== 'boolean') throw invalidOption(name, 'be true or false', value)
  return value
}

function toNumber(name: keyof typeof numbers, value: unknown): number {
  const { fallback, max } = numbers[name]
  if (value === undefined) return fallback
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 1 && value <= max) return value
  throw invalidOption(name, `be a whole number from 1 to ${String(max)}`, value)
}

function resolveSecrets(option: unknown, isProduction: boolean, reporter: Reporter): readonly string[] | undefined {
  if (option === false) return undefined
  const given: unknown = option === undefined ? process.env.CONVERSION_WEBHOOK_SECRET : option
  if (given === undefined) {
    if (isProduction) throw new ConversionWebhookError('ERR_CONVERSION_SECRET_MISSING')
    reporter.warn('WRN_CONVERSION_SECRET_MISSING')
    return undefined
  }
  // A text may hold several, so that the variable handed over by hand means what it means by default.
  const listed: readonly unknown[] = typeof given === 'string' ? given.split(',') : [given].flat()
  if (!listed.every((secret) => typeof secret === 'string')) {
    throw invalidOption('secret', 'be a text, a list of texts, or false')
  }
  const secrets = listed.map((secret) => secret.trim()) // a file ends with a line break, a variable may hold spaces
  if (secrets.length === 0 || secrets.includes('')) {
    throw new ConversionWebhookError('ERR_CONVERSION_SECRET_EMPTY', { values: { min: minSecretLength } })
  }
  if (!secrets.every(isLongEnough)) {
    throw new ConversionWebhookError('ERR_CONVERSION_SECRET_SHORT', { values: { min: minSecretLength } })
  }
  return secrets
}

function resolveAllowFrom(option: unknown, reporter: Reporter): ((req: WebhookRequest) => boolean) | undefined {
  if (option === undefined) return undefined
  if (typeof option === 'function') {
    return (req) => {
      try {
        return requireSync('allowFrom', (option as (req: WebhookRequest) => unknown)(req)) === true
      } catch (error) {
        reporter.error('allowFrom', error)
        return false
      }
    }
  }
  const list: readonly unknown[] = [option].flat()
  if (list.length === 0) throw invalidOption('allowFrom', 'name somebody: with an empty list nobody could call')
  const matches = addressMatcher(list)
  return (req) => {
    if (trustsEverybody(req)) {
      reporter.warn('WRN_CONVERSION_PROXY_TRUSTED')
    }
    return matches(req.ip ?? req.socket.remoteAddress)
  }
}

function trustsEverybody({ app }: WebhookRequest): boolean {
  if (typeof app !== 'function' || !('get' in app) || typeof app.get !== 'function') return false
  return Reflect.apply(app.get, app, ['trust proxy']) === true
}

function resolveInbox(option: unknown, isProduction: boolean, reporter: Reporter): Inbox {
  const inbox = option === undefined ? memoryInbox() : option
  if (!isInbox(inbox)) {
    throw new ConversionWebhookError('ERR_CONVERSION_INBOX_INVALID', { values: { why: 'option', got: kindOf(inbox) } })
  }
  if (isProduction && !inbox.isDurable) {
    reporter.warn('WRN_CONVERSION_INBOX_VOLATILE')
  }
  return inbox
}

function isInbox(value: unknown): value is Inbox {
  const methods = ['attach', 'accept', 'quarantine', 'close'] as const
  return (
    typeof value === 'object' &&
    value !== null &&
    methods.every((name) => typeof (value as Partial<Inbox>)[name] === 'function')
  )
}
