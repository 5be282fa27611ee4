import { ConversionWebhookError } from '../errors.js'

/** What a store rejects with where an effect ended its transaction: what the effect did is committed, and must not be repeated. */
class TransactionEnded extends ConversionWebhookError {
  readonly isTransactionEnded = true
}

/** The error of an effect that ended its transaction, with what the effect threw where it threw. */
export function transactionEnded(details: { readonly cause?: unknown } = {}): ConversionWebhookError {
  return new TransactionEnded('ERR_CONVERSION_COMMIT_INVALID', { values: { why: 'ended' }, ...details })
}

export function isTransactionEnded(error: unknown): error is ConversionWebhookError {
  return error instanceof Error && 'isTransactionEnded' in error
}
