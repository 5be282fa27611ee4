import type { ConversionErrorCode } from '../../errors.js'
import { faults } from '../../faults.js'
import type { DeliveryState, Previous } from '../vocabulary.js'
import type { ClaimRecord, LogEntry, Repeats } from '../records.js'
import { aBoolean, aNumber, anArray, aString, decode, fieldsOf, maybe, names, oneOf, Unreadable } from './decoding.js'
import { readStatus } from './stored.js'

/* What happened to a delivery, and what was recorded before it; as in `stored.ts`. */

/** Undefined for an empty log. */
export function encodeLog(log: readonly LogEntry[]): string | undefined {
  if (log.length === 0) return undefined
  const entries = log.map(({ at, what, attempt, code, message }) => ({ at, what, try: attempt, code, said: message }))
  return JSON.stringify({ v: 1, log: entries })
}

export const decodeLog = (text: string): readonly LogEntry[] => decode(text, readLog)

const logNames = names('v', 'log')
const entryNames = names('at', 'what', 'try', 'code', 'said')

const readLog = (value: unknown): readonly LogEntry[] =>
  anArray(fieldsOf(value, logNames).log).map((entry) => {
    const { at, what, try: attempt, code, said } = fieldsOf(entry, entryNames)
    return {
      at: aNumber(at),
      what: readWhat(what),
      ...(attempt !== undefined && { attempt: aNumber(attempt) }),
      ...(code !== undefined && { code: readCode(code) }),
      ...(said !== undefined && { message: aString(said) }),
    }
  })

export const deliveryStates = {
  waiting: true,
  running: true,
  done: true,
  dead: true,
  withdrawn: true,
  refused: true,
} as const satisfies Readonly<Record<DeliveryState, true>>

const readWhat = oneOf<LogEntry['what']>({
  recorded: true,
  failed: true,
  held: true,
  lapsed: true,
  replayed: true,
  ...deliveryStates,
})

export function readCode(value: unknown): ConversionErrorCode {
  if (!isCode(value)) throw new Unreadable()
  return value
}

function isCode(value: unknown): value is ConversionErrorCode {
  return typeof value === 'string' && value.startsWith('ERR_') && Object.hasOwn(faults, value)
}

export const encodePrevious = ({ status, goalComplete }: Previous): string =>
  JSON.stringify({ v: 1, status, goal: goalComplete || undefined })

export const decodePrevious = (text: string): Previous => decode(text, readPrevious)

const previousNames = names('v', 'status', 'goal')

function readPrevious(value: unknown): Previous {
  const { status, goal } = fieldsOf(value, previousNames)
  return { status: readStatus(status), goalComplete: maybe(goal, aBoolean) ?? false }
}

/** Undefined where nothing was repeated. */
export function encodeRepeats({ duplicate, stale }: ClaimRecord['repeats']): string | undefined {
  if (!duplicate && !stale) return undefined
  return JSON.stringify({ v: 1, duplicate: maybe(duplicate, writtenRepeats), stale: maybe(stale, writtenRepeats) })
}

export const decodeRepeats = (text: string): ClaimRecord['repeats'] => decode(text, readBothRepeats)

const bothNames = names('v', 'duplicate', 'stale')
const repeatsNames = names('count', 'first', 'last')

const writtenRepeats = ({ count, firstAt, lastAt }: Repeats) => ({ count, first: firstAt, last: lastAt })

function readBothRepeats(value: unknown): ClaimRecord['repeats'] {
  const { duplicate, stale } = fieldsOf(value, bothNames)
  return {
    ...(duplicate !== undefined && { duplicate: readRepeats(duplicate) }),
    ...(stale !== undefined && { stale: readRepeats(stale) }),
  }
}

function readRepeats(value: unknown): Repeats {
  const { count, first, last } = fieldsOf(value, repeatsNames)
  return { count: aNumber(count), firstAt: aNumber(first), lastAt: aNumber(last) }
}
