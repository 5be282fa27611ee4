import type { Callback } from '../callback/conversion.js'
import type { Via } from '../callback/received.js'
import { textsOfArrival } from './operators/mentions.js'
import type { ClaimRecord } from './records.js'

/* Estimates of the memory that records take: two bytes per character, and a fixed number per object, rather too many than too few. */

const bytesPerCharacter = 2
const bytesPerText = 64
const bytesPerDelivery = 512
const bytesPerRecord = 1_024
/** For the index entries by which rivals are found, besides their ids. */
const bytesPerRival = 1_024

export function weightOf({ id, identity, scope, referrerEmail, refereeEmail, deliveries }: ClaimRecord): number {
  let weight = bytesPerRecord + scope.length * bytesPerCharacter
  if (id !== identity) weight += bytesPerRival + weightOfText(referrerEmail) + weightOfText(refereeEmail)
  let previous: Callback | undefined
  for (const { callback, log } of deliveries) {
    weight += bytesPerDelivery
    if (callback !== previous) weight += weightOfCallback(callback) // success and goalComplete share theirs
    previous = callback
    for (const { message } of log) weight += 2 * bytesPerText + weightOfText(message)
  }
  return weight
}

/** Whether two records certainly weigh the same. True after most changes, which touch only states and counts: then none is weighed. */
export function weighsAs({ deliveries }: ClaimRecord, { deliveries: others }: ClaimRecord): boolean {
  if (deliveries === others) return true
  if (deliveries.length !== others.length) return false
  for (let index = 0; index < deliveries.length; index++) {
    const [one, other] = [deliveries[index], others[index]]
    if (one?.callback !== other?.callback || one?.log !== other?.log) return false
  }
  return true
}

function weightOfCallback(callback: Callback): number {
  const { params, extra, repairs } = callback
  let weight = 0
  for (const text of textsOfArrival(callback)) weight += weightOfText(text)
  for (const text of Object.values(params)) weight += weightOfText(text)
  for (const name of Object.keys(extra)) weight += weightOfText(name) + weightOfText(extra[name])
  for (const { parameter } of repairs) weight += weightOfText(parameter)
  return weight
}

function weightOfText(text: string | undefined): number {
  return text === undefined ? 0 : bytesPerText + text.length * bytesPerCharacter
}

/** The same callback with copied strings: a string that was sliced out of a request keeps the whole request in memory. */
export function detached({ status, scope, receivedAt, params, extra, repairs, via, carrier }: Callback): Callback {
  return {
    status,
    scope: own(scope),
    receivedAt,
    params: ownTexts(params, {}),
    extra: ownTexts(extra, Object.create(null) as Record<string, string>),
    repairs: repairs.map(({ parameter, kind }) => ({ parameter: own(parameter), kind })),
    ...(via && { via: ownVia(via) }),
    ...(carrier !== undefined && { carrier: own(carrier) }),
  }
}

function ownVia(via: Via): Via {
  if (via.by === 'accept') return via
  const { contentType, userAgent } = via
  return {
    ...via,
    ...(contentType !== undefined && { contentType: own(contentType) }),
    ...(userAgent !== undefined && { userAgent: own(userAgent) }),
  }
}

function ownTexts(texts: Callback['extra'], into: Record<string, string>): Callback['extra'] {
  for (const name of Object.keys(texts)) into[name] = own(texts[name] ?? '')
  return into
}

/** V8 copies shorter strings instead of slicing them. */
const minSlice = 13

function own(text: string): string {
  return text.length < minSlice ? text : ` ${text}`.slice(1) // a slice of a new string that is one character longer
}
