import type { IncomingMessage } from 'node:http'
import { ConversionWebhookError } from '../errors.js'

const methods = ['GET', 'POST', 'PUT']
const allow = { Allow: 'GET, HEAD, OPTIONS, POST, PUT' }

/** What reached the URL without anybody reporting a conversion. */
export type NonCallback =
  | { readonly status: 204; readonly headers?: Readonly<Record<string, string>> }
  | { readonly error: ConversionWebhookError }

/** Requests that are answered and never processed; undefined for what may be a callback. */
export function findNonCallback(
  { method = '', headers }: IncomingMessage,
  isProduction: boolean,
): NonCallback | undefined {
  if (method === 'HEAD') return { status: 204 }
  if (method === 'OPTIONS') return { status: 204, headers: allow }
  if (!methods.includes(method)) {
    return { error: new ConversionWebhookError('ERR_CONVERSION_METHOD_UNSUPPORTED', { headers: allow }) }
  }
  const purposes = ['sec-purpose', 'purpose', 'x-moz', 'x-purpose'].map((name) => String(headers[name] ?? ''))
  if (purposes.some((purpose) => /prefetch|prerender|preview/i.test(purpose))) {
    return { error: new ConversionWebhookError('ERR_CONVERSION_PREFETCH_REJECTED') }
  }
  const destination = headers['sec-fetch-dest'] ?? 'empty'
  if (isProduction && (headers['sec-fetch-mode'] === 'navigate' || destination !== 'empty')) {
    return { error: new ConversionWebhookError('ERR_CONVERSION_BROWSER_REJECTED') }
  }
  return undefined
}
