import { debug } from '../debug.js'
import { ConversionWebhookError } from '../errors.js'
import { candidates, type Matcher } from './credentials.js'
import type { Route, WebhookRequest } from './route.js'
import { viaOf, type Via } from './via.js'

/** Who may call. */
export interface CallerRules {
  /** Absent where no secret is configured. */
  readonly matchesSecret: Matcher | undefined
  readonly isAllowed: ((req: WebhookRequest) => boolean) | undefined
}

/**
 * The address, then the credential, before any parameter is decoded: of the query only `token` is looked for. Returns how the request came.
 * Throws `ERR_CONVERSION_ADDRESS_REJECTED` and `ERR_CONVERSION_CREDENTIAL_REJECTED`.
 */
export function requireCaller(req: WebhookRequest, route: Route, rules: CallerRules): Via {
  const isAllowed = rules.isAllowed?.(req)
  if (isAllowed === false) {
    debug.credentials('address not allowed')
    throw new ConversionWebhookError('ERR_CONVERSION_ADDRESS_REJECTED')
  }
  const { matchesSecret } = rules
  if (matchesSecret === undefined || route.secretIn) return viaOf(req, route.secretIn, isAllowed)
  const offered = candidates(req, route.query)
  // Each is compared, whatever the ones before it came to.
  const [right] = offered.filter(({ text }) => matchesSecret(text))
  if (right) return viaOf(req, right.place, isAllowed)
  debug.credentials('%d credentials, none right', offered.length)
  throw new ConversionWebhookError('ERR_CONVERSION_CREDENTIAL_REJECTED', {
    headers: { 'WWW-Authenticate': 'Basic realm="conversion webhook", charset="UTF-8", Bearer' },
  })
}

/**
 * A bare server has no next(): a path below the root is ours when its last segment is the secret, or when the request offers a credential
 * elsewhere. Throws `ERR_CONVERSION_PATH_UNKNOWN` for others, whatever their method.
 */
export function requireKnownPath(req: WebhookRequest, route: Route): void {
  if (!route.isDoubtful || candidates(req, route.query).length > 0) return
  debug.route('unknown path')
  throw new ConversionWebhookError('ERR_CONVERSION_PATH_UNKNOWN')
}
