import { readBody } from './body.js'
import { distinctRepairs } from './issues.js'
import type { WireNames } from './params.js'
import type { Received } from './received.js'
import { limitWhole } from './reading.js'
import type { WebhookRequest } from './route.js'

/**
 * What a request says, from its query (GET) or from its body with the query's unknown parameters (POST, PUT). A body that
 * holds none of the ten gives way to the query, since some senders POST with one; what cannot be read may hold anything, and does not.
 * Undefined for a GET with none of the ten: a visit.
 */
export async function readRequest(
  req: WebhookRequest,
  query: Received,
  wireNames: WireNames,
): Promise<Received | undefined> {
  const holdsAny = ({ pairs }: Received) => pairs.some(([name]) => wireNames.has(name))
  if (req.method === 'GET') return holdsAny(query) || query.issues.length > 0 ? query : undefined

  if (query.digest !== undefined) return query // beyond the limits by itself
  const body = await readBody(req, wireNames)
  if (body === undefined) return query
  if (body.digest !== undefined) return body
  const givesWay = body.issues.length === 0 && !holdsAny(body)
  const [main, other] = givesWay && holdsAny(query) ? [query, body] : [body, query]
  const isExtra = (name: string) => !wireNames.has(name)
  return limitWhole({
    pairs: [...main.pairs, ...other.pairs.filter(([name]) => isExtra(name) && name !== '')],
    issues: main.issues,
    ...((main.untyped ?? other.untyped) && { untyped: { ...other.untyped, ...main.untyped } }),
    repairs: distinctRepairs([
      ...main.repairs,
      ...other.repairs.filter(({ parameter, kind }) => kind === 'charset' && isExtra(parameter)),
    ]),
  })
}
