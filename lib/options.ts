import { requireSync } from './util/require-sync.js'
import { addressMatcher } from './callback/caller.js'
import { isLongEnough, minSecretLength, Secrets, tokenName } from './callback/credentials.js'
import { aScope, isScope, scopeHoldsSecret, type WebhookRequest } from './callback/route.js'
import { readingOptionNames, readingRules, requireOptions, type ReadingOptions } from './callback/reading-options.js'
import { ConversionWebhookError, invalidOption } from './errors.js'
import { knownNames, type Confirm } from './handlers.js'
import type { Inbox } from './inbox/inbox.js'
import { memoryInbox } from './inbox/memory-inbox.js'
import { isFunction, isRecord, kindOf } from './util/kind-of.js'
import type { Reporter } from './observers.js'

/** A function of the request that may declare its framework's own request type. */
type OfRequest<Result> = { bivarianceHack(req: WebhookRequest): Result }['bivarianceHack']

/** The second argument of `conversionWebhook`; every option with its examples is in `docs/reference.md`. */
export interface ConversionWebhookOptions<Custom = string, Commit = undefined> extends ReadingOptions<Custom> {
  /**
   * The secret that a callback must carry, of at least 16 characters: as the last path segment, a route parameter `secret`, `Authorization`
   * (Bearer, or the password of Basic), the header `X-Webhook-Secret` or the query parameter `token`. Of an array or a comma-separated
   * string any secret is right, so that secrets can be rotated.
   * `false`: you protect the mount yourself. Without a secret the webhook warns, and throws if `NODE_ENV` is `production`.
   * @defaultValue the environment variable `CONVERSION_WEBHOOK_SECRET`
   */
  readonly secret?: string | readonly string[] | false | undefined
  /**
   * Addresses and CIDR ranges that callbacks may come from, or a function of the request, in addition to a secret. Looks at Express's
   * `req.ip`, so the app's `trust proxy` decides; elsewhere at the socket. Others get 403, and so do all when the function throws.
   */
  readonly allowFrom?: string | readonly string[] | OfRequest<boolean> | undefined
  /**
   * Called in each attempt at `success` and `goalComplete`, before the handler and within its time limit. `false` ends the delivery as
   * refused, `'hold'` asks again later (memory inbox: 503), a throw is a failed attempt.
   */
  readonly confirm?: Confirm<NoInfer<Custom>, NoInfer<Commit>> | undefined
  /** Where conversions are recorded before the answer. One inbox belongs to one webhook. @defaultValue `memoryInbox()` */
  readonly inbox?: Inbox<Commit> | undefined
  /**
   * The campaign that a callback belongs to: the same order in two scopes is two conversions. A function must return a string and no promise;
   * if it throws, the answer is 500.
   * @defaultValue the route parameters other than `secret`, percent-encoded and joined by `/`; never the mount path
   */
  readonly scope?: string | OfRequest<string> | undefined
  /** Whether the middleware answers. `false`: it sets `req.conversion` and calls `next()`, or `next(error)`. @defaultValue true */
  readonly respond?: boolean | undefined
  /** Whether `req.url` and `req.originalUrl` lose query and path secret before we answer, for access logs. @defaultValue true */
  readonly scrubUrl?: boolean | undefined
  /**
   * Milliseconds that `confirm` and the handler may take together before the attempt counts as failed. The handler is not killed:
   * `context.signal` aborts, and the retry waits for the handler's end. A handler that runs on for as long again is stuck: other deliveries
   * get its slot, and `onError` is called.
   * @defaultValue 30_000: longer than a payment API's own timeout, shorter than a deploy's grace period
   */
  readonly handlerTimeoutMs?: number | undefined
  /** Failed attempts after which a delivery is dead; durable inboxes only. @defaultValue 12 */
  readonly maxAttempts?: number | undefined
  /**
   * How many deliveries run at a time, not counting stuck handlers. With ten times as many stuck handlers the process starts no delivery
   * until one ends.
   * @defaultValue 10
   */
  readonly concurrency?: number | undefined
  /** Milliseconds a delivery may be held by `confirm` before it is dead; durable inboxes only. @defaultValue 604_800_000 (7 days) */
  readonly maxHoldMs?: number | undefined
  /** Milliseconds `close()` waits for running handlers before it aborts them. @defaultValue 10_000 */
  readonly closeTimeoutMs?: number | undefined
}

/** What the check of an option gets besides the value. */
interface Place {
  readonly name: string
  readonly isProduction: boolean
  readonly reporter: Reporter
}

type Check<Checked> = (value: unknown, place: Place) => Checked

/** The longest delay of `setTimeout`: with a longer one it fires at once. */
const maxTimeoutMs = 2_147_483_647
const dayMs = 86_400_000

/** The check and default of each option; `readingRules` has those of `ReadingOptions`. An option without a line does not compile. */
const checks = {
  secret: readSecrets,
  allowFrom: readAllowFrom,
  confirm: readConfirm,
  inbox: readInbox,
  scope: readScope,
  respond: flag(true),
  scrubUrl: flag(true),
  handlerTimeoutMs: wholeNumber(30_000, maxTimeoutMs),
  maxAttempts: wholeNumber(12, 1_000),
  concurrency: wholeNumber(10, 10_000),
  maxHoldMs: wholeNumber(7 * dayMs, Number.MAX_SAFE_INTEGER),
  closeTimeoutMs: wholeNumber(10_000, maxTimeoutMs),
} satisfies Readonly<Record<Exclude<keyof ConversionWebhookOptions, keyof ReadingOptions>, Check<unknown>>>

type Checked = { readonly [Name in keyof typeof checks]: ReturnType<(typeof checks)[Name]> }

export const optionNames: readonly string[] = [...readingOptionNames, ...Object.keys(checks)]

/** The options after checks and defaults. `secrets` is absent if no secret is configured. */
export type Settings = ReturnType<typeof resolveOptions>

/** Checks all options and fills in the defaults. Throws `ERR_CONVERSION_OPTION_…`, `…_SECRET_…`, `…_SCHEMA_…`, `…_INBOX_…`. */
export function resolveOptions(options: unknown, reporter: Reporter) {
  const given = requireOptions(options, optionNames, knownNames)
  const isProduction = process.env.NODE_ENV === 'production'
  const entries = Object.entries(checks).map(([name, check]) => {
    return [name, check(given[name], { name, isProduction, reporter })]
  })
  const { secret: secrets, allowFrom: isAllowed, ...checked } = Object.fromEntries(entries) as Checked
  const { parseCustomValue, ...rules } = readingRules(given)
  if (secrets && rules.wireNames.has(tokenName)) {
    throw invalidOption('fields', `leave ${tokenName} alone: while there is a secret, this parameter may carry it`)
  }
  if (typeof checked.scope === 'string' && secrets?.areIn(checked.scope) === true) throw scopeHoldsSecret()
  return Object.freeze({ ...checked, isProduction, rules, parseCustomValue, secrets, isAllowed })
}

function flag(fallback: boolean): Check<boolean> {
  return (value, { name }) => {
    if (value === undefined) return fallback
    if (typeof value !== 'boolean') throw invalidOption(name, 'be true or false', value)
    return value
  }
}

function wholeNumber(fallback: number, max: number): Check<number> {
  return (value, { name }) => {
    if (value === undefined) return fallback
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 1 && value <= max) return value
    throw invalidOption(name, `be a whole number from 1 to ${String(max)}`, value)
  }
}

function readConfirm(value: unknown): ((conversion: never, context: never) => unknown) | undefined {
  if (value === undefined || isFunction(value)) return value
  throw invalidOption('confirm', 'be a function', value)
}

function readScope(value: unknown): string | ((req: WebhookRequest) => unknown) | undefined {
  if (value === undefined || isFunction(value) || isScope(value)) return value
  throw invalidOption('scope', `be ${aScope}, or a function of the request that returns one`)
}

function readSecrets(option: unknown, { isProduction, reporter }: Place): Secrets | undefined {
  if (option === false) return undefined
  const given: unknown = option === undefined ? process.env.CONVERSION_WEBHOOK_SECRET : option
  if (given === undefined) {
    if (isProduction) throw new ConversionWebhookError('ERR_CONVERSION_SECRET_MISSING')
    reporter.warn('WRN_CONVERSION_SECRET_MISSING')
    return undefined
  }
  // A string may hold several secrets, so that passing the variable yourself means the same as the default.
  const listed: readonly unknown[] = typeof given === 'string' ? given.split(',') : [given].flat()
  if (!listed.every((secret) => typeof secret === 'string')) {
    throw invalidOption('secret', 'be a string, an array of strings, or false')
  }
  const secrets = listed.map((secret) => secret.trim()) // a secret from a file ends with a line break
  if (secrets.length === 0 || secrets.includes('')) {
    throw new ConversionWebhookError('ERR_CONVERSION_SECRET_EMPTY', { values: { min: minSecretLength } })
  }
  if (!secrets.every(isLongEnough)) {
    throw new ConversionWebhookError('ERR_CONVERSION_SECRET_SHORT', { values: { min: minSecretLength } })
  }
  return new Secrets(secrets)
}

function readAllowFrom(option: unknown, { reporter }: Place): ((req: WebhookRequest) => boolean) | undefined {
  if (option === undefined) return undefined
  if (isFunction(option)) {
    return (req) => {
      try {
        return requireSync('allowFrom', option(req)) === true
      } catch (error) {
        reporter.error('allowFrom', error)
        return false
      }
    }
  }
  const list: readonly unknown[] = [option].flat()
  if (list.length === 0) throw invalidOption('allowFrom', 'name an address: with an empty array nobody could call')
  const matches = addressMatcher(list)
  return (req) => {
    if (trustsEverybody(req)) reporter.warn('WRN_CONVERSION_PROXY_TRUSTED')
    return matches(req.ip ?? req.socket.remoteAddress)
  }
}

function trustsEverybody({ app }: WebhookRequest): boolean {
  if (typeof app !== 'function' || !('get' in app) || typeof app.get !== 'function') return false
  return Reflect.apply(app.get, app, ['trust proxy']) === true
}

function readInbox(option: unknown, { isProduction, reporter }: Place): Inbox {
  const inbox = option === undefined ? memoryInbox() : option
  if (!isInbox(inbox)) {
    throw new ConversionWebhookError('ERR_CONVERSION_INBOX_INVALID', { values: { why: 'option', got: kindOf(inbox) } })
  }
  if (isProduction && !inbox.isDurable) reporter.warn('WRN_CONVERSION_INBOX_VOLATILE')
  return inbox
}

function isInbox(value: unknown): value is Inbox {
  return isRecord(value) && ['attach', 'accept', 'quarantine', 'close'].every((name) => isFunction(value[name]))
}
