import type { IncomingMessage } from 'node:http'
import { ConversionWebhookError, type Operators } from 'conversion-webhook'
import { debug } from '../debug.js'
import { shown } from '../util/closest-name.js'
import { isLocal } from './local.js'

export interface ConversionInspectorOptions<Req = IncomingMessage> {
  /**
   * Whether this request may see and replay conversions. Called for every request; any result but `true` is answered with 403, and so are a
   * throw and a rejection, which `DEBUG=conversion-webhook:answer` prints.
   * Required in production.
   * @defaultValue only this machine: a loopback address, a loopback name in the Host header, and no proxy in between
   */
  readonly authorize?: ((req: Req) => boolean | Promise<boolean>) | undefined
}

const operators = ['list', 'get', 'replay', 'stats'] as const satisfies (keyof Operators)[]

export function requireInbox(inbox: unknown): asserts inbox is Operators {
  const candidate = Object(inbox) as Partial<Record<string, unknown>>
  if (operators.some((name) => typeof candidate[name] !== 'function')) {
    throw new ConversionWebhookError('ERR_CONVERSION_INBOX_INVALID', { values: { why: 'inspector' } })
  }
}

/** Checks the options. Returns the function that decides whether a request is authorized. */
export function resolveAuthorize<Req extends IncomingMessage>(
  options: ConversionInspectorOptions<Req>,
): (req: Req) => Promise<boolean> {
  if (typeof options !== 'object' || (options as unknown) === null) {
    throw invalid('The second argument of conversionInspector', 'be an object: { authorize }')
  }
  const unknown = Object.keys(options).find((name) => name !== 'authorize')
  if (unknown !== undefined) {
    const values = { name: shown(unknown), near: 'authorize' }
    throw new ConversionWebhookError('ERR_CONVERSION_OPTION_UNKNOWN', { values })
  }
  const { authorize } = options
  if (authorize === undefined) {
    if (process.env.NODE_ENV !== 'production') return (req) => Promise.resolve(isLocal(req))
    throw new ConversionWebhookError('ERR_CONVERSION_AUTHORIZE_MISSING')
  }
  if (typeof authorize !== 'function') {
    throw invalid('authorize', 'be a function of the request that returns true or false')
  }
  return async (req) => {
    try {
      // JavaScript callers may return anything, such as an unchecked object: only `true` authorizes.
      return ((await authorize(req)) as unknown) === true
    } catch (error) {
      debug.answer('inspector 403, authorize failed: %s', String(error))
      return false
    }
  }
}

function invalid(option: string, must: string): ConversionWebhookError {
  return new ConversionWebhookError('ERR_CONVERSION_OPTION_INVALID', { values: { option, must } })
}
