import { types } from 'node:util'
import type { Conversion, FailConversion, PendingConversion, SuccessConversion } from './callback/conversion.js'
import type { ConfirmAnswer } from './confirm.js'
import { ConversionWebhookError } from './errors.js'
import type { ConversionObservers } from './observers.js'
import { closestName, shown } from './util/closest-name.js'
import { kindOf } from './util/kind-of.js'
import type { ConversionEvent, Previous } from './inbox/vocabulary.js'

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
        values: { name: shown(name), near: closestName(name, knownNames), isOption: optionNames.includes(name) },
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
export type AnyHandler = (conversion: Conversion<unknown>, context: ConversionContext) => unknown

/** The handlers of one webhook, one an event. */
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

  /** Runs the handler of an event, if there is one. */
  handle(conversion: Conversion<unknown>, context: ConversionContext): unknown {
    return this.#handlers.get(context.event)?.(conversion, context)
  }
}
