import { readCallback, type Callback, type Conversion } from './callback/conversion.js'
import { withoutCredential } from './callback/params.js'
import { isUnreadable, type Received } from './callback/received.js'
import { debug } from './debug.js'
import type { ConversionErrorCode, Issue } from './errors.js'
import { ConversionWebhookError, isConversionWebhookError, storageError } from './errors.js'
import type { Accepted } from './inbox/inbox.js'
import { refusedOf } from './inbox/quarantine.js'
import type { ErrorStage, Reporter } from './observers.js'
import type { Settings } from './options.js'
import type { Outcome } from './inbox/vocabulary.js'

/** The outcome of a callback that came by HTTP or by `webhook.accept`. */
export type Taken =
  | {
      readonly outcome: Exclude<Outcome, 'refused' | 'conflict'>
      readonly id: string
      readonly conversion: Conversion<unknown>
    }
  | { readonly outcome: 'refused' | 'conflict'; readonly id: string; readonly error: ConversionWebhookError }

/**
 * Checks a callback, records it by the ledger or keeps it in the quarantine, and calls the observers: the same for HTTP and
 * `webhook.accept`. Rejects with a coded error if nothing could be recorded, or if a handler failed in memory.
 */
export function take(sent: Received, scope: string, settings: Settings, reporter: Reporter): Promise<Taken> {
  const receivedAt = Date.now()
  const { rules, secrets } = settings
  const received = secrets ? withoutCredential(sent, secrets, rules.wireNames) : sent
  const result = readCallback(received, rules, settings.parseCustomValue, scope, receivedAt)
  return result.ok
    ? accept(result.callback, result.conversion, settings, reporter)
    : refuse(received, scope, receivedAt, result.issues, settings, reporter)
}

async function accept(
  callback: Callback,
  conversion: Conversion<unknown>,
  { inbox }: Settings,
  reporter: Reporter,
): Promise<Taken> {
  let accepted: Accepted
  try {
    accepted = await inbox.accept(callback)
  } catch (cause) {
    throw storageError(cause)
  }
  const { outcome, id, contradiction } = accepted
  if (outcome !== 'conflict') return { outcome, id, conversion }
  if (contradiction) reporter.conflict({ conversion, ...contradiction })
  return { outcome, id, error: new ConversionWebhookError('ERR_CONVERSION_CALLBACK_CONFLICT') }
}

export function codeOf(
  issues: readonly Issue[],
): 'ERR_CONVERSION_CALLBACK_UNREADABLE' | 'ERR_CONVERSION_CALLBACK_REFUSED' {
  return isUnreadable(issues) ? 'ERR_CONVERSION_CALLBACK_UNREADABLE' : 'ERR_CONVERSION_CALLBACK_REFUSED'
}

async function refuse(
  received: Received,
  scope: string,
  receivedAt: number,
  issues: readonly Issue[],
  { inbox }: Settings,
  reporter: Reporter,
): Promise<Taken> {
  const code = codeOf(issues)
  const error = new ConversionWebhookError(code, { issues })
  const record = refusedOf({ code, issues, received, scope, receivedAt })
  const { id } = record
  const params = Object.create(null) as Record<string, string>
  for (const [name, text] of received.pairs) params[name] ??= text
  debug.parse('%s: %s', code, issues.map(({ parameter, rule }) => `${parameter ?? '-'} ${rule}`).join(', '))
  const refused = { code, status: error.status ?? 422, issues, params, scope, receivedAt: new Date(receivedAt) }
  try {
    await inbox.quarantine(record)
  } catch (cause) {
    reporter.refused(refused)
    throw storageError(cause)
  }
  reporter.refused({ ...refused, id })
  return { outcome: 'refused', id, error }
}

/** Codes whose answer does not reveal the cause; `onError` gets the cause with this stage. */
const stages: Partial<Record<ConversionErrorCode, ErrorStage>> = {
  ERR_CONVERSION_SCOPE_FAILED: 'scope',
  ERR_CONVERSION_INBOX_UNAVAILABLE: 'inbox',
  ERR_CONVERSION_INBOX_MOVED: 'inbox',
  ERR_CONVERSION_INBOX_CORRUPT: 'inbox',
  ERR_CONVERSION_INBOX_NEWER: 'inbox',
  ERR_CONVERSION_INTERNAL: 'internal',
}

/** Gives any error that ends the processing of a callback a code. Only this function maps these errors and reports them to `onError`. */
export function codedError(cause: unknown, reporter: Reporter): ConversionWebhookError {
  const error = isConversionWebhookError(cause)
    ? cause
    : new ConversionWebhookError('ERR_CONVERSION_INTERNAL', { cause })
  const stage = stages[error.code]
  if (stage !== undefined) reporter.error(stage, error.cause ?? error)
  return error
}
