import { types } from 'node:util'
import { kindOf } from './util/kind-of.js'

/**
 * What `confirm` may answer.
 * - `true`: pay. The order is the one that the callback names.
 * - `{ order }`: pay. `order` is the shop's own number of the order, so that `1001`, `01001` and `1001.0` are one order. A webhook answers
 *   either always `true` or always `{ order }`.
 * - `false`: do not pay. The delivery ends in state `refused`.
 * - `'hold'`: ask again later, with the backoff of a retry.
 * - a `Date`: ask again then, at most 400 days from now. Durable inboxes only.
 */
export type ConfirmAnswer = boolean | 'hold' | Date | { readonly order: string | number | bigint }

/** An answer of `confirm`, checked. */
export type Confirmed =
  /** `order` as a string; absent for `true`. */
  | { readonly say: 'yes'; readonly order?: string }
  | { readonly say: 'no' }
  /** `until` in milliseconds since 1970; absent for `'hold'` and for a date that is past. */
  | { readonly say: 'hold'; readonly until?: number }

const maxOrderLength = 255
const dayMs = 86_400_000
const maxDays = 400

/**
 * Checks an answer of `confirm`. Throws a TypeError for any other value, so that a typo in an answer pays nobody, and for a Date if the inbox
 * is not durable: only a durable one retries by itself.
 */
export function readAnswer(answer: unknown, now: number, isDurable: boolean): Confirmed {
  if (answer === true) return { say: 'yes' }
  if (answer === false) return { say: 'no' }
  if (answer === 'hold') return { say: 'hold' }
  if (types.isDate(answer)) return readDate(answer.getTime(), now, isDurable)
  if (typeof answer === 'object' && answer !== null && 'order' in answer) {
    return { say: 'yes', order: readOrder(answer.order) }
  }
  throw new TypeError(
    `confirm answered ${kindOf(answer)}: return true or false${hintAt(answer)}; or 'hold', a Date or { order }.`,
  )
}

function readDate(until: number, now: number, isDurable: boolean): Confirmed {
  if (Number.isNaN(until)) throw new TypeError('confirm answered an invalid Date.')
  if (until > now + maxDays * dayMs) {
    throw new TypeError(`confirm answered a Date more than ${String(maxDays)} days ahead.`)
  }
  if (!isDurable) {
    throw new TypeError('confirm answered a Date, for which memoryInbox() cannot wait: use a durable inbox.')
  }
  return until > now ? { say: 'hold', until } : { say: 'hold' }
}

/** `1001`, `'1001'` and `1001n` are the same order. */
function readOrder(order: unknown): string {
  const text = typeof order === 'bigint' || Number.isSafeInteger(order) ? String(order) : order
  if (typeof text === 'string' && text.trim() !== '' && text.length <= maxOrderLength) return text
  throw new TypeError(
    `confirm answered { order: ${kindOf(order)} }; order is a string of 1 to ${String(maxOrderLength)} characters, a whole number or a bigint.`,
  )
}

/** How to make a boolean of a frequent wrong answer: SQLite has 1 and 0 for booleans, and a query without a hit gives null or undefined. */
function hintAt(answer: unknown): string {
  if (typeof answer === 'number' || typeof answer === 'bigint') return ', such as row.paid === 1'
  if (answer === null) return ', such as row !== null'
  return answer === undefined ? ', and look for a forgotten return' : ''
}
