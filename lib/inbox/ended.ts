import { ConversionWebhookError } from '../errors.js'

/** A store's rejection when an effect has ended its own transaction: the effect may be committed, and must not be repeated. */
class TransactionEnded extends ConversionWebhookError {
  readonly isTransactionEnded = true
}

/** The error of an effect that ended its transaction; `cause` is what the effect threw, if it threw. */
export function transactionEnded(details: { readonly cause?: unknown } = {}): ConversionWebhookError {
  return new TransactionEnded('ERR_CONVERSION_COMMIT_INVALID', { values: { why: 'ended' }, ...details })
}

export function isTransactionEnded(error: unknown): error is ConversionWebhookError {
  return error instanceof Error && 'isTransactionEnded' in error
}
