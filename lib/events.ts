import { types } from 'node:util'
import {
  copyOf,
  toConversion,
  type Callback,
  type Conversion,
  type FailConversion,
  type PendingConversion,
  type SuccessConversion,
} from './callback/conversion.js'
import { Commits } from './commits.js'
import { readAnswer, type ConfirmAnswer, type Confirmed } from './confirm.js'
import { debug, shortId } from './debug.js'
import { ConversionWebhookError, type ConversionErrorCode } from './errors.js'
import type { Attempt, Delivering, Job, Verdict } from './inbox/inbox.js'
import { isSuccess, type ConversionEvent, type Previous } from './inbox/ledger.js'
import { kindOf } from './kind-of.js'
import { nearest, shown } from './nearest.js'
import type { ConversionObservers, ErrorStage, FailedDelivery, Reporter } from './observers.js'
import { within } from './within.js'

/** What a handler gets besides the conversion. */
export type ConversionContext<Commit = undefined> = {
  readonly event: ConversionEvent
  /** The idempotency key: the same for every repeat, retry, replay and restart of this delivery. Ends in `:reversal` for a claw-back. */
  readonly id: string
  /** 1 for the first attempt. */
  readonly attempt: number
  /** What was recorded before this callback; absent for the first one. A fail with `previous.status === 'success'` takes a delivered success back. */
  readonly previous?: Previous
  /**
   * Aborts at `handlerTimeoutMs`, and when `close()` has waited long enough. Hand it to what the handler calls: a handler that runs on is
   * stuck, and nothing of its conversion is delivered until it ends.
   */
  readonly signal: AbortSignal
} & ([Commit] extends [undefined] ? unknown : { readonly commit: Commit })

/**
 * Runs for one delivery; it is done when the function returns or its promise resolves, and is tried again when it throws, rejects or
 * takes longer than `handlerTimeoutMs`. What it returns is ignored.
 */
export type ConversionHandler<C, Commit = undefined> = (conversion: C, context: ConversionContext<Commit>) => unknown

export interface EventHandlers<Custom = string, Commit = undefined> {
  /** A conversion succeeded. May come together with `goalComplete`: register the one you pay for. */
  readonly onSuccess?: ConversionHandler<SuccessConversion<Custom>, Commit> | undefined
  /** A conversion failed; with `context.previous.status === 'success'` one that had been delivered as a success. */
  readonly onFail?: ConversionHandler<FailConversion<Custom>, Commit> | undefined
  readonly onPending?: ConversionHandler<PendingConversion<Custom>, Commit> | undefined
  /** The conversion completes the referrer's goal, once an identity. May come together with `success`: register the one you pay for. */
  readonly onGoalComplete?: ConversionHandler<SuccessConversion<Custom>, Commit> | undefined
}

/** The first argument of `conversionWebhook`: handlers, which deliveries wait for, and observers, which nothing waits for. */
export interface ConversionHandlers<Custom = string, Commit = undefined>
  extends EventHandlers<Custom, Commit>, ConversionObservers<Custom> {}

/** The conversion that an event's handler gets. */
export interface ConversionByEvent<Custom = string> {
  success: SuccessConversion<Custom>
  fail: FailConversion<Custom>
  pending: PendingConversion<Custom>
  goalComplete: SuccessConversion<Custom>
}

/** Asked before `success` and `goalComplete` reach their handlers: does this order exist, is it this friend's, is it paid? It only reads. */
export type Confirm<Custom = string, Commit = undefined> = (
  conversion: SuccessConversion<Custom>,
  context: ConversionContext<Commit>,
) => ConfirmAnswer | Promise<ConfirmAnswer>

const handlerNames = {
  success: 'onSuccess',
  fail: 'onFail',
  pending: 'onPending',
  goalComplete: 'onGoalComplete',
} as const satisfies Record<ConversionEvent, keyof EventHandlers>

const observerNames = ['onRefused', 'onConflict', 'onDead', 'onError']

/** What the first argument may hold. */
export const knownNames: readonly string[] = [...Object.values(handlerNames), ...observerNames]

function isEvent(event: unknown): event is ConversionEvent {
  return typeof event === 'string' && Object.hasOwn(handlerNames, event)
}

/** Throws a coded error for anything but an object of handlers and observers. `optionNames`: what belongs into the second argument. */
export function checkHandlers(
  handlers: unknown,
  optionNames: readonly string[],
): asserts handlers is ConversionHandlers<never, never> {
  if (typeof handlers !== 'object' || handlers === null || Array.isArray(handlers)) {
    throw new ConversionWebhookError('ERR_CONVERSION_HANDLERS_INVALID', { values: { got: kindOf(handlers) } })
  }
  if ('method' in handlers && 'url' in handlers && 'headers' in handlers) {
    throw new ConversionWebhookError('ERR_CONVERSION_FACTORY_UNCALLED')
  }
  const names = namesIn(handlers)
  for (const name of names) {
    if (!knownNames.includes(name)) {
      throw new ConversionWebhookError('ERR_CONVERSION_HANDLER_UNKNOWN', {
        values: { name: shown(name), near: nearest(name, knownNames), isOption: optionNames.includes(name) },
      })
    }
    const value = (handlers as Readonly<Record<string, unknown>>)[name]
    if (value !== undefined) checkFunction(name, value)
  }
}

/**
 * The names that handlers may have: all of a plain object, and of an instance of a class, which may have fields and methods of its own,
 * inherited ones too, those that begin like a handler's.
 */
function namesIn(handlers: object): readonly string[] {
  const prototype: unknown = Object.getPrototypeOf(handlers)
  if (prototype === null || prototype === Object.prototype) return Object.keys(handlers)
  const names = new Set<string>()
  for (let level = handlers; level !== Object.prototype;) {
    for (const name of Object.getOwnPropertyNames(level)) if (/^on[A-Z]/.test(name)) names.add(name)
    const next = Object.getPrototypeOf(level) as object | null
    if (next === null) break
    level = next
  }
  if (names.size === 0) {
    const got = types.isPromise(handlers) ? 'a promise' : 'an object of a class without handlers'
    throw new ConversionWebhookError('ERR_CONVERSION_HANDLERS_INVALID', { values: { got } })
  }
  return [...names]
}

function checkFunction(name: string, value: unknown): void {
  if (typeof value === 'function') return
  throw new ConversionWebhookError('ERR_CONVERSION_HANDLER_INVALID', { values: { name, got: kindOf(value) } })
}

/** Each event's own type, forgotten: the event says which conversion it is. */
type AnyHandler = (conversion: Conversion<unknown>, context: ConversionContext) => unknown

interface EventsOptions {
  readonly confirm: ((conversion: never, context: never) => unknown) | undefined
  readonly parse: (callback: Callback) => Conversion<unknown>
  readonly handlerTimeoutMs: number
  /** Whether the inbox asks `confirm` again by itself. */
  readonly isDurable: boolean
  readonly reporter: Reporter
}

/** The handlers of one webhook, and how a delivery is brought to them. */
export class Events {
  readonly #handlers = new Map<ConversionEvent, AnyHandler>()
  readonly #options: EventsOptions

  constructor(handlers: EventHandlers<never, never>, options: EventsOptions) {
    this.#options = options
    for (const event of Object.keys(handlerNames).filter(isEvent)) {
      const handler = handlers[handlerNames[event]]
      if (handler !== undefined) this.#handlers.set(event, (handler as unknown as AnyHandler).bind(handlers))
    }
  }

  /** One handler an event. Throws `ERR_CONVERSION_EVENT_UNKNOWN`, `ERR_CONVERSION_HANDLER_INVALID` or `ERR_CONVERSION_HANDLER_DUPLICATE`. */
  on(event: unknown, handler: unknown): void {
    if (!isEvent(event)) {
      const name = typeof event === 'string' ? shown(event) : kindOf(event)
      const near = nearest(name, Object.keys(handlerNames))
      const observer = observerNames.find(
        (known) => known.toLowerCase().replace(/^on/, '') === name.toLowerCase().replace(/^on/, ''),
      )
      throw new ConversionWebhookError('ERR_CONVERSION_EVENT_UNKNOWN', { values: { name, near, observer } })
    }
    checkFunction(`The handler of ${event}`, handler)
    if (this.#handlers.has(event)) {
      throw new ConversionWebhookError('ERR_CONVERSION_HANDLER_DUPLICATE', { values: { event } })
    }
    this.#handlers.set(event, handler as AnyHandler)
  }

  has(event: ConversionEvent): boolean {
    return this.#handlers.has(event)
  }

  /** The typed conversion; undefined where `parseCustomValue` does not take its text any more. */
  conversionOf(callback: Callback): Conversion<unknown> | undefined {
    try {
      return this.#options.parse(callback)
    } catch {
      return undefined
    }
  }

  /** A delivery is tried no more. */
  dead({ id, event, callback, attempt: attempts }: Job, error: unknown): void {
    debug.delivery('%s %s dead, %d attempts', shortId(id), event, attempts)
    const conversion = this.conversionOf(callback) ?? toConversion(copyOf(callback))
    this.#options.reporter.dead({ id, event, conversion, attempts, error })
  }

  /** A handler runs on long after its time. */
  stuck(job: Job, error: unknown): void {
    debug.delivery('%s %s stuck, attempt %d', shortId(job.id), job.event, job.attempt)
    this.#options.reporter.error('handler', error, failedDelivery(job))
  }

  /** One attempt: confirm, then the handler, under one time limit. */
  deliver(job: Attempt): Delivering {
    const { handlerTimeoutMs, reporter } = this.#options
    const controller = new AbortController()
    const attempt = this.#attempt(job, controller.signal)
    const verdict = within(handlerTimeoutMs, attempt).then(async (isInTime): Promise<Verdict> => {
      if (isInTime) return attempt
      const error = new ConversionWebhookError('ERR_CONVERSION_HANDLER_LATE', {
        values: { event: job.event, ms: handlerTimeoutMs },
      })
      controller.abort(error)
      reporter.error('handler', error, failedDelivery(job))
      return { state: 'waiting', code: 'ERR_CONVERSION_HANDLER_LATE', error }
    })
    const abort = (reason: Error): void => {
      controller.abort(reason)
    }
    return { verdict, finished: attempt, abort }
  }

  async #attempt(job: Attempt, signal: AbortSignal): Promise<Verdict> {
    const { event, id, attempt, previous, callback, commit } = job
    const commits = commit && new Commits(commit)
    const context = {
      event,
      id,
      attempt,
      ...(previous && { previous }),
      signal,
      ...(commits && { commit: commits.commit }),
    }
    const isLate = (): boolean => signal.aborted
    let stage: keyof typeof failures = 'handler'
    try {
      const parsed = this.#options.parse(callback)
      // A pending may have said so, for the success that completes the goal now.
      const conversion = event === 'goalComplete' ? { ...parsed, goalComplete: true } : parsed
      const asks = this.#options.confirm as AnyHandler | undefined
      if (asks && isSuccess(job)) {
        stage = 'confirm'
        const given = await asks(conversion, context)
        const answer = readAnswer(given, { now: Date.now(), isDurable: this.#options.isDurable })
        debug.delivery('%s %s confirm: %s', shortId(id), event, answer.say)
        // Asked for too long, the attempt has failed already: it neither reserves the order nor starts a handler beside the next one.
        if (isLate()) return late
        if (answer.say !== 'yes') return verdictOf(answer)
        stage = 'inbox'
        const reserved = await job.reserve(answer.order)
        stage = 'confirm'
        if ('verdict' in reserved) return reserved.verdict
        if ('isAnotherOrder' in reserved)
          throw new TypeError('confirm named another order than before for the same claim.')
        if (isLate()) return late
        stage = 'handler'
      }
      const handle = (): unknown => this.#handlers.get(event)?.(conversion, context)
      await (commits ? commits.endOf(handle) : handle())
      debug.delivery('%s %s done, attempt %d', shortId(id), event, attempt)
      return { state: 'done' }
    } catch (error) {
      const code = failures[stage]
      debug.delivery('%s %s %s, attempt %d', shortId(id), event, code, attempt)
      this.#options.reporter.error(stage, error, failedDelivery(job))
      return { state: 'waiting', code, error }
    }
  }
}

/** What a failed attempt is recorded with, by what failed. */
const failures = {
  confirm: 'ERR_CONVERSION_CONFIRM_FAILED',
  inbox: 'ERR_CONVERSION_INBOX_UNAVAILABLE',
  handler: 'ERR_CONVERSION_HANDLER_FAILED',
} as const satisfies Partial<Record<ErrorStage, ConversionErrorCode>>

/** The verdict on an attempt whose time ran out while it was confirmed. */
const late: Verdict = { state: 'waiting', code: 'ERR_CONVERSION_HANDLER_LATE' }

function failedDelivery({ id, event, attempt, callback }: Job): FailedDelivery {
  const orderId = callback.params.orderID?.trim()
  return { id, event, attempt, ...(orderId !== undefined && { orderId }) }
}

/** What an answer of `confirm` that is no yes makes of the attempt. */
function verdictOf(answer: Exclude<Confirmed, { say: 'yes' }>): Verdict {
  if (answer.say === 'no') return { state: 'refused' }
  const { until } = answer
  return { state: 'waiting', code: 'ERR_CONVERSION_DELIVERY_HELD', ...(until !== undefined && { until }) }
}
