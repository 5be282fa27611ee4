import type { Conversion, ConversionStatus } from './callback/conversion.js'
import type { ConversionErrorCode, ConversionWarningCode, Issue } from './errors.js'
import type { ConversionEvent, Difference } from './inbox/vocabulary.js'
import { faults, messageOf } from './faults.js'

/** Functions that are called and not awaited. Their return value is ignored, and their throw or rejection is logged. */
export interface ConversionObservers<Custom = string> {
  /** An authenticated callback was refused (400, 422). Its parameters are personal data: think before logging them. */
  readonly onRefused?: ((refused: RefusedCallback) => unknown) | undefined
  /**
   * A callback contradicts what is recorded or may be somebody else's (409), or a delivery was refused because another claim has the order
   * (`ERR_CONVERSION_ORDER_TAKEN`). No handler is called unless a person replays the callback or the delivery.
   */
  readonly onConflict?: ((conflict: ConflictingCallback<Custom>) => unknown) | undefined
  /** A delivery has used up its attempts or its time to be held. It is not tried again until somebody replays it. Durable inboxes only. */
  readonly onDead?: ((dead: DeadDelivery<Custom>) => unknown) | undefined
  /**
   * A handler, `confirm`, `scope`, `allowFrom`, the inbox or the package itself failed. The answer to the sender never says why; this observer gets the error.
   * @defaultValue prints to stderr
   */
  readonly onError?: ((failure: Failure) => unknown) | undefined
}

/** What failed. The fields of `FailedDelivery` are present where an attempt at a delivery failed, was late or is stuck. */
export interface Failure extends Partial<FailedDelivery> {
  readonly stage: ErrorStage
  readonly error: unknown
}

/** The attempt that failed. */
export interface FailedDelivery {
  /** `context.id`. */
  readonly id: string
  readonly event: ConversionEvent
  readonly attempt: number
  /** Absent if the callback has none. Personal data if your registrations pass an e-mail address as order id. */
  readonly orderId?: string
}

export type ErrorStage = 'handler' | 'confirm' | 'scope' | 'allowFrom' | 'inbox' | 'internal'

export interface RefusedCallback {
  readonly code: ConversionErrorCode
  readonly status: number
  readonly issues: readonly Issue[]
  /** The received parameters by wire name, without the credential. */
  readonly params: Readonly<Record<string, string>>
  readonly scope: string
  readonly receivedAt: Date
  /** What `get` and `replay` take; absent if the callback could not be recorded in the quarantine. */
  readonly id?: string
}

export interface ConflictingCallback<Custom = string> {
  /** What `get` and `replay` take: the id of the callback in quarantine, or of the refused delivery. */
  readonly id: string
  readonly conversion: Conversion<Custom>
  /** The state of the claim that the callback contradicts, or that has the order. */
  readonly recorded: { readonly status: ConversionStatus; readonly goalComplete: boolean }
  /**
   * The parameters that contradict each other; if none do, those that only the claim or only the callback states.
   * E-mail addresses are trimmed and in lower case, as they are compared.
   */
  readonly differs: readonly Difference[]
}

export interface DeadDelivery<Custom = string> {
  readonly id: string
  readonly event: ConversionEvent
  readonly conversion: Conversion<Custom>
  readonly attempts: number
  readonly error: unknown
}

/** Calls observers, and emits each warning code once. No method throws. */
export interface Reporter {
  refused(refused: RefusedCallback): void
  conflict(conflict: ConflictingCallback<unknown>): void
  dead(dead: DeadDelivery<unknown>): void
  error(stage: ErrorStage, error: unknown, delivery?: FailedDelivery): void
  /** `values` are those that the message of the code contains. */
  warn(code: ConversionWarningCode, values?: object): void
}

/** Never throws: printing an error runs its getters, which may throw. */
function print(message: string, error: unknown): void {
  try {
    console.error(message, error)
  } catch {
    console.error(message, 'an error that cannot be printed')
  }
}

export function createReporter(observers: ConversionObservers<never>): Reporter {
  const warned = new Set<string>()
  const warn = (code: ConversionWarningCode, values?: object): void => {
    if (warned.has(code)) return
    warned.add(code)
    process.emitWarning(messageOf(faults[code], values), { type: 'ConversionWebhookWarning', code })
  }
  /** Calls an observer; logs its throw or rejection and never passes it on. */
  const call = (name: keyof ConversionObservers, value: unknown): void => {
    const failed = (error: unknown): void => {
      warn('WRN_CONVERSION_OBSERVER_FAILED', { name })
      print(`conversion-webhook: ${name} failed:`, error)
    }
    try {
      Promise.resolve(observers[name]?.(value as never)).catch(failed)
    } catch (error) {
      failed(error)
    }
  }
  return {
    refused: call.bind(undefined, 'onRefused'),
    conflict: call.bind(undefined, 'onConflict'),
    dead: call.bind(undefined, 'onDead'),
    error(stage, error, delivery) {
      if (observers.onError === undefined) print(`conversion-webhook: ${stage} failed:`, error)
      else call('onError', { stage, error, ...delivery })
    },
    warn,
  }
}
