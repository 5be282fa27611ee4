import { ConversionWebhookError } from '../../errors.js'

/** Tables of a version that this code does not know. */
export function newer(found: number, known: number): ConversionWebhookError {
  const message = `The inbox has tables of version ${String(found)}, and this version of the package knows ${String(known)}: update the package.`
  return new ConversionWebhookError('ERR_CONVERSION_INBOX_NEWER', { message })
}
