import type { IncomingMessage, ServerResponse } from 'node:http'
import { ConversionWebhookError, type Operators } from 'conversion-webhook'
import { debug } from '../debug.js'
import { invalidOption } from '../errors.js'
import { faults, messageOf } from '../faults.js'
import { shown } from '../util/closest-name.js'
import { kindOf } from '../util/kind-of.js'
import { sendProblem } from './answers.js'
import { Door } from './door.js'
import { isLocal } from './local.js'

export interface ConversionInspectorOptions<Req = IncomingMessage> {
  /**
   * Whether this request may see and replay conversions. Called for every request; any result but `true` is answered with 403, and so are a
   * throw and a rejection, whose name and code `DEBUG=conversion-webhook:answer` prints.
   * Required in production.
   * @defaultValue the browser that opens the page with the token of `WRN_CONVERSION_AUTHORIZE_MISSING`, on this machine: a loopback address,
   * a loopback name in the Host header, and no header of a proxy
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

/** Whether a request is authorized. If not, the function has answered it. */
type Admits<Req> = (req: Req, res: ServerResponse) => boolean | Promise<boolean>

/** Checks the options. */
export function resolveAuthorize<Req extends IncomingMessage>(options: ConversionInspectorOptions<Req>): Admits<Req> {
  if (typeof options !== 'object' || (options as unknown) === null) {
    throw invalidOption('The second argument of conversionInspector', 'be an object: { authorize }')
  }
  const unknown = Object.keys(options).find((name) => name !== 'authorize')
  if (unknown !== undefined) {
    const values = { name: shown(unknown), near: 'authorize' }
    throw new ConversionWebhookError('ERR_CONVERSION_OPTION_UNKNOWN', { values })
  }
  const { authorize } = options
  if (authorize === undefined) {
    if (process.env.NODE_ENV === 'production') throw new ConversionWebhookError('ERR_CONVERSION_AUTHORIZE_MISSING')
    return openOnce()
  }
  if (typeof authorize !== 'function') {
    throw invalidOption('authorize', 'be a function of the request that returns true or false')
  }
  return async (req, res) => {
    try {
      const answer: unknown = await authorize(req)
      if (answer === true) return true // JavaScript callers may return anything, such as an unchecked object
    } catch (error) {
      debug.answer('inspector 403, authorize failed: %s', nameOf(error))
    }
    sendProblem(res, 403)
    return false
  }
}

/** The name and code of an error, without its message, which may hold what a login sent. Never throws. */
function nameOf(error: unknown): string {
  try {
    const { name, code = '' } = error instanceof Error ? (error as NodeJS.ErrnoException) : { name: kindOf(error) }
    return `${name} ${code}`.trim()
  } catch {
    return 'an error that cannot be read'
  }
}

function openOnce(): Admits<IncomingMessage> {
  const door = new Door(isLocal)
  const code = 'WRN_CONVERSION_AUTHORIZE_MISSING'
  const message = messageOf(faults[code], { token: door.token })
  process.emitWarning(message, { type: 'ConversionWebhookWarning', code })
  return (req, res) => door.admits(req, res)
}
