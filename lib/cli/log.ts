import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Conversion, ConversionContext, ConversionHandlers, Issue, RequestConversion } from 'conversion-webhook'
import type { SqliteCommit } from 'conversion-webhook/sqlite'
import { maskAddresses } from '../inspector/mask.js'
import { shorten, printable } from '../util/printable.js'
import { painter, print, printJson, textOf, type Io, type Paint } from './io.js'

const styles = {
  accepted: 'cyan',
  duplicate: 'dim',
  stale: 'dim',
  conflict: 'magenta',
  refused: 'magenta',
  answered: 'yellow',
  failed: 'red',
  delivered: 'green',
} as const

/** The maximum length of the order id of an accepted callback. */
const orderLength = 255
const messageLength = 1_000
/** The maximum number of issues in an answer. */
const maxIssues = 20

/** Seven or more digits of any script, marks of phone numbers, and invisible characters that are pasted along with a number. */
const digits = /[\p{Nd}\p{Pd}\p{Cf}\s+＋()./·]{7,}/gu
const encodedMark = /%(?:25)*2[0-9a-f]/gi

/**
 * Masks addresses and phone numbers: registrations pass one or both as order id. A run of digits counts as a phone number if the order id
 * has nothing else, or has a plus sign or an address. Its last three characters stay visible, to tell two orders apart.
 */
function maskOrder(orderId: string): string {
  const shown = shorten(orderId, orderLength, maskAddresses)
  if (shown.replace(encodedMark, ' ').replace(digits, '') === '') return `•••${shown.slice(-3)}`
  const isNumberLikely = shown !== orderId || /[+＋]/u.test(shown)
  return isNumberLikely ? shown.replace(digits, (run) => `•••${run.slice(-3)}`) : shown
}

interface Entry {
  readonly what: keyof typeof styles
  readonly about?: string | undefined
  readonly orderId?: string | undefined
  readonly id?: string | undefined
  readonly status?: number
  readonly issues?: readonly Issue[]
  readonly message?: string
}

/** Prints a line for each callback and each delivery, without names, addresses and secrets. */
export class Log {
  /** Handlers and observers that print a line and do nothing else. */
  readonly handlers: ConversionHandlers<string, SqliteCommit>
  readonly #io: Io
  readonly #isJson: boolean
  readonly #paint: Paint
  /** How many refusals and conflicts were printed by an observer and are not answered yet. */
  #unanswered = 0

  constructor(io: Io, isJson: boolean) {
    this.#io = io
    this.#isJson = isJson
    this.#paint = painter(io.out, io.env)
    const delivered = ({ orderId }: Conversion, { event, id }: ConversionContext): void => {
      const at = new Date()
      // A first delivery can end before its callback is answered. The line of the answer is printed first.
      setTimeout(() => {
        this.#print({ what: 'delivered', about: event, orderId, id }, at)
      }, 1)
    }
    this.handlers = {
      onSuccess: delivered,
      onFail: delivered,
      onPending: delivered,
      onGoalComplete: delivered,
      onRefused: ({ code, id, issues }) => {
        this.#unanswered++
        this.#print({ what: 'refused', about: code, id, issues })
      },
      onConflict: ({ id, conversion: { status, orderId }, recorded, differs }) => {
        const message = `differs in ${differs.map(({ parameter }) => parameter).join(', ')}`
        // Otherwise a delivery is refused because another claim has the order: its callback was answered before.
        const isAnswer = id.includes(':conflict:')
        if (isAnswer) this.#unanswered++
        const about = isAnswer ? `${status}, recorded as ${recorded.status}` : `${status}, another claim has the order`
        this.#print({ what: isAnswer ? 'conflict' : 'refused', about, orderId, id, message })
      },
      onError: ({ stage, error }) => {
        this.#print({ what: 'failed', about: stage, message: textOf(error) })
      },
    }
  }

  /** Prints the outcome of a request when it is answered, unless an observer has printed it. */
  watch(req: IncomingMessage, res: ServerResponse): void {
    res.once('finish', () => {
      const { conversion } = req as IncomingMessage & { conversion?: RequestConversion }
      const { statusCode: status } = res
      if (conversion) {
        const { outcome, orderId, id } = conversion
        this.#print({ what: outcome, about: conversion.status, orderId, id })
      } else if ([400, 409, 422].includes(status) && this.#unanswered > 0) this.#unanswered--
      else this.#print({ what: 'answered', about: `${req.method ?? ''} with ${String(status)}`, status })
    })
  }

  #print({ orderId: order, issues: all, message: text, ...rest }: Entry, at = new Date()): void {
    const orderId = order === undefined ? undefined : maskOrder(order)
    const issues = all?.slice(0, maxIssues)
    const message = text === undefined ? undefined : shorten(text, messageLength, maskAddresses)
    if (this.#isJson) {
      printJson(this.#io.out, { at, ...rest, orderId, issues, message }, 0)
      return
    }
    const { what, about = '' } = rest
    const rules = issues?.map((issue) => issue.message).join('; ')
    const time = this.#paint('dim', at.toTimeString().slice(0, 8))
    const texts = [about.padEnd(12), orderId, rules, message].map((part = '') => printable(part)).join('  ')
    print(this.#io.out, `${time}  ${this.#paint(styles[what], what.padEnd(9))}  ${texts.trimEnd()}`)
  }
}
