import { types } from 'node:util'
import type { Conversion, FailConversion, PendingConversion, SuccessConversion } from './callback/conversion.js'
import type { ConfirmAnswer } from './confirm.js'
import { ConversionWebhookError } from './errors.js'
import type { ConversionObservers } from './observers.js'
import { closestName, shown } from './util/closest-name.js'
import { kindOf } from './util/kind-of.js'
import type { ConversionEvent, Previous } from './inbox/vocabulary.js'

/** The second argument of handlers and of `confirm`. */
export type ConversionContext<Commit = undefined> = {
  readonly event: ConversionEvent
  /**
   * The idempotency key: the same for every repeat, retry, replay and restart of this delivery.
   * Ends in `:reversal` for a fail that takes back a delivered success.
   */
  readonly id: string
  /** 1 for the first attempt. */
  readonly attempt: number
  /**
   * The status before this callback; absent for the first callback of a conversion.
   * A fail with `previous.status === 'success'` takes back a success that was delivered.
   */
  readonly previous?: Previous
  /**
   * Aborts after `handlerTimeoutMs`, and when `close()` has waited `closeTimeoutMs`. Pass it to every call that the handler waits for:
   * until a handler that ignores it ends, nothing else of its conversion is delivered.
   */
  readonly signal: AbortSignal
} & ([Commit] extends [undefined] ? unknown : { readonly commit: Commit })

/**
 * Called once per attempt at a delivery. The delivery is done when the function returns or its promise resolves. The delivery is retried
 * when the function throws, rejects or runs longer than `handlerTimeoutMs`. The return value is ignored.
 */
export type ConversionHandler<C, Commit = undefined> = (conversion: C, context: ConversionContext<Commit>) => unknown

export interface EventHandlers<Custom = string, Commit = undefined> {
  /** A conversion succeeded. `goalComplete` may be delivered as well: pay in one of the two handlers only. */
  readonly onSuccess?: ConversionHandler<SuccessConversion<Custom>, Commit> | undefined
  /** A conversion failed. With `context.previous.status === 'success'`, its success had been delivered: take the reward back. */
  readonly onFail?: ConversionHandler<FailConversion<Custom>, Commit> | undefined
  readonly onPending?: ConversionHandler<PendingConversion<Custom>, Commit> | undefined
  /** A conversion completed the referrer's goal; once per claim. `success` is delivered as well: pay in one of the two handlers only. */
  readonly onGoalComplete?: ConversionHandler<SuccessConversion<Custom>, Commit> | undefined
}

/** The first argument of `conversionWebhook`. A delivery waits for its handler; nothing waits for an observer. */
export interface ConversionHandlers<Custom = string, Commit = undefined>
  extends EventHandlers<Custom, Commit>, ConversionObservers<Custom> {}

/** The type of conversion that the handler of each event gets. */
export interface ConversionByEvent<Custom = string> {
  success: SuccessConversion<Custom>
  fail: FailConversion<Custom>
  pending: PendingConversion<Custom>
  goalComplete: SuccessConversion<Custom>
}

/**
 * Called in each attempt at `success` and `goalComplete`, before the handler: does this order exist, is it this friend's, is it paid?
 * Must only read, since a retry asks again.
 */
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

/** Throws a coded error unless the argument is an object of handlers and observers. `optionNames` belong into the second argument. */
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
        values: { name: shown(name), near: closestName(name, knownNames), isOption: optionNames.includes(name) },
      })
    }
    const value = (handlers as Readonly<Record<string, unknown>>)[name]
    if (value !== undefined) checkFunction(name, value)
  }
}

/**
 * The names to check. A plain object must hold nothing but handlers and observers. An instance of a class may have other fields and
 * methods, so only those whose names begin with `on` and a capital letter are checked, inherited ones too.
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

/** A handler of any event: `context.event` says which type the conversion has. */
export type AnyHandler = (conversion: Conversion<unknown>, context: ConversionContext) => unknown

/** The handlers of one webhook, at most one per event. */
export class Handlers {
  readonly #handlers = new Map<ConversionEvent, AnyHandler>()

  constructor(handlers: EventHandlers<never, never>) {
    for (const event of Object.keys(handlerNames).filter(isEvent)) {
      const handler = handlers[handlerNames[event]]
      if (handler !== undefined) this.#handlers.set(event, (handler as unknown as AnyHandler).bind(handlers))
    }
  }

  /** Throws `ERR_CONVERSION_EVENT_UNKNOWN`, `ERR_CONVERSION_HANDLER_INVALID` or `ERR_CONVERSION_HANDLER_DUPLICATE`. */
  on(event: unknown, handler: unknown): void {
    if (!isEvent(event)) {
      const name = typeof event === 'string' ? shown(event) : kindOf(event)
      const near = closestName(name, Object.keys(handlerNames))
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

  of(event: ConversionEvent): AnyHandler | undefined {
    return this.#handlers.get(event)
  }
}
