import type { Callback } from '../../callback/conversion.js'
import type { Arrival } from '../../callback/received.js'
import type { Texts } from './addresses.js'
import type { QuarantinedCallback } from '../quarantine.js'
import type { ClaimRecord, Delivery, LogEntry } from '../records.js'
import { emailNames } from '../search.js'
import type { Difference } from '../vocabulary.js'

/* The strings from outside that a claim or a quarantined callback keeps: each may mention a person. */

type Pairs = readonly (readonly [name: string, text: string])[]
/** Strings, some of them absent. */
type Parts = Readonly<Record<keyof Texts, readonly (string | undefined)[]>>

export function textsOfRecord({ scope, referrerEmail, refereeEmail, deliveries }: ClaimRecord): Texts {
  return gathered([
    { emails: [referrerEmail, refereeEmail], others: [scope] },
    ...deliveries.flatMap(({ callback, log }) => [...partsOfCallback(callback), partsOfLog(log)]),
  ])
}

/** Whether a change removes a string that may mention a person. */
export function losesText(before: ClaimRecord, after: ClaimRecord): boolean {
  // Nearly every change keeps the callbacks and only adds to the log, so no strings have to be gathered and compared.
  const isKept = ({ callback, log }: Delivery): boolean =>
    after.deliveries.some(
      (other) =>
        other.callback === callback && log.every((entry) => entry.message === undefined || other.log.includes(entry)),
    )
  const { scope, referrerEmail, refereeEmail } = before
  const isSameHead =
    scope === after.scope && referrerEmail === after.referrerEmail && refereeEmail === after.refereeEmail
  if (isSameHead && before.deliveries.every(isKept)) return false
  const left = textsOfRecord(after)
  const isLeft = new Set([...left.emails, ...left.others])
  const { emails, others } = textsOfRecord(before)
  return [...emails, ...others].some((text) => !isLeft.has(text))
}

/** The strings of a quarantined callback, without the recorded values that it contradicts: these are of another claim. */
export function textsOfQuarantined(quarantined: QuarantinedCallback): Texts {
  const log = partsOfLog(quarantined.log)
  if (quarantined.kind === 'conflict') return gathered([...partsOfCallback(quarantined.callback), log])
  const { scope, issues, received } = quarantined
  const others = [
    scope,
    ...Object.keys(received.untyped ?? {}),
    ...received.repairs.map(({ parameter }) => parameter),
    ...[...issues, ...received.issues].flatMap(({ parameter, message }) => [parameter, message]),
    ...textsOfArrival(received),
  ]
  return gathered([partsOfPairs(received.pairs), { emails: [], others }, log])
}

/** The recorded value that a conflict differed from. */
export function textsOfRecorded({ parameter, recorded = '' }: Difference): Texts {
  return gathered([partsOfPairs([[parameter, recorded]])])
}

function partsOfCallback(callback: Callback): readonly Parts[] {
  const { params, extra, repairs, scope } = callback
  const named = [...Object.entries(extra).flat(), ...repairs.map(({ parameter }) => parameter)]
  const others = [scope, ...named, ...textsOfArrival(callback)]
  return [partsOfPairs(Object.entries(params)), { emails: [], others }]
}

/** The strings of a callback that are not parameters: content type, user agent and carrier. */
export function textsOfArrival({ via, carrier }: Arrival): readonly string[] {
  const texts = via?.by === 'request' ? [via.contentType, via.userAgent, carrier] : [carrier]
  return texts.filter((text) => text !== undefined)
}

function partsOfPairs(pairs: Pairs): Parts {
  return {
    emails: pairs.filter(([name]) => emailNames.includes(name)).map(([, text]) => text),
    others: pairs.flatMap(([name, text]) => (emailNames.includes(name) ? [] : [name, text])),
  }
}

function partsOfLog(log: readonly LogEntry[]): Parts {
  return { emails: [], others: log.map(({ message }) => message) }
}

function gathered(parts: readonly Parts[]): Texts {
  const all = (kind: keyof Texts) => parts.flatMap((part) => part[kind]).filter((text) => text !== undefined)
  return { emails: all('emails'), others: all('others') }
}
