import type { Conversion, ConversionStatus } from './callback/conversion.js'
import type { ConversionErrorCode, ConversionWarningCode, Issue } from './errors.js'
import type { ConversionEvent, Difference } from './inbox/vocabulary.js'
import { faults, messageOf } from './faults.js'

/** Functions that are told and never asked: what they return is ignored, and their own failure is logged. */
export interface ConversionObservers<Custom = string> {
  /** An authenticated callback was refused (400, 422). Its texts are personal data: think before logging them. */
  readonly onRefused?: ((refused: RefusedCallback) => unknown) | undefined
  /**
   * A callback contradicts the claim that it belongs to (409), or a delivery was refused because another claim has the order
   * (`ERR_CONVERSION_ORDER_TAKEN`). Nothing was delivered; a person may look at it, and replay it.
   */
  readonly onConflict?: ((conflict: ConflictingCallback<Custom>) => unknown) | undefined
  /** A delivery used up its attempts and is tried no more until somebody replays it. Durable inboxes only. */
  readonly onDead?: ((dead: DeadDelivery<Custom>) => unknown) | undefined
  /** Something failed that no caller is told of: a handler, `confirm`, `scope`, the inbox, the package itself. @defaultValue prints to stderr */
  readonly onError?: ((failure: Failure) => unknown) | undefined
}

/** What failed, and in which attempt where it is a `confirm` or handler that failed, was late, or is stuck. */
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
  /** Personal data where registrations pass an address; absent where the callback has none. */
  readonly orderId?: string
}

export type ErrorStage = 'handler' | 'confirm' | 'scope' | 'allowFrom' | 'inbox' | 'internal'

export interface RefusedCallback {
  readonly code: ConversionErrorCode
  readonly status: number
  readonly issues: readonly Issue[]
  /** What was received, by wire name, without the credential. */
  readonly params: Readonly<Record<string, string>>
  readonly scope: string
  readonly receivedAt: Date
  /** Its place in the quarantine; absent where it could not be recorded. */
  readonly id?: string
}

export interface ConflictingCallback<Custom = string> {
  /** What `get` and `replay` take: the callback in quarantine, or the refused delivery. */
  readonly id: string
  readonly conversion: Conversion<Custom>
  /** What is recorded of the claim that it contradicts, or that has the order. */
  readonly recorded: { readonly status: ConversionStatus; readonly goalComplete: boolean }
  /** Why: the parameters that contradict, or else those that only one of the two states. E-mail addresses as they are compared. */
  readonly differs: readonly Difference[]
}

export interface DeadDelivery<Custom = string> {
  readonly id: string
  readonly event: ConversionEvent
  readonly conversion: Conversion<Custom>
  readonly attempts: number
  readonly error: unknown
}

/** Tells observers, and warns: each code once. */
export interface Reporter {
  refused(refused: RefusedCallback): void
  conflict(conflict: ConflictingCallback<unknown>): void
  dead(dead: DeadDelivery<unknown>): void
  error(stage: ErrorStage, error: unknown, delivery?: FailedDelivery): void
  /** `values`: what the message of the code is made of. */
  warn(code: ConversionWarningCode, values?: object): void
}

/** Never throws, whatever an error does when it is printed. */
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
  /** Whatever an observer does, it ends here. */
  const tell = (name: string, observe: () => unknown): void => {
    const failed = (error: unknown): void => {
      warn('WRN_CONVERSION_OBSERVER_FAILED', { name })
      print(`conversion-webhook: ${name} failed:`, error)
    }
    try {
      Promise.resolve(observe()).catch(failed)
    } catch (error) {
      failed(error)
    }
  }
  return {
    refused(refused) {
      tell('onRefused', () => observers.onRefused?.(refused))
    },
    conflict(conflict) {
      tell('onConflict', () => observers.onConflict?.(conflict as ConflictingCallback<never>))
    },
    dead(dead) {
      tell('onDead', () => observers.onDead?.(dead as DeadDelivery<never>))
    },
    error(stage, error, delivery) {
      if (observers.onError === undefined) print(`conversion-webhook: ${stage} failed:`, error)
      else tell('onError', () => observers.onError?.({ stage, error, ...delivery }))
    },
    warn,
  }
}
