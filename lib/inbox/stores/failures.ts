import { ConversionWebhookError, isConversionWebhookError } from '../../errors.js'

export function isClosedError(error: unknown): boolean {
  return isConversionWebhookError(error) && error.code === 'ERR_CONVERSION_INBOX_CLOSED'
}

/** What is behind a coded error. */
export function causeOf(error: unknown): unknown {
  return isConversionWebhookError(error) && error.cause !== undefined ? error.cause : error
}

/** Tables of a version that this code does not know. */
export function newer(found: number, known: number): ConversionWebhookError {
  return new ConversionWebhookError('ERR_CONVERSION_INBOX_NEWER', {
    values: { what: 'The inbox has tables', found, known },
  })
}
