import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Conversion, ConversionContext, ConversionHandlers, Issue, RequestConversion } from 'conversion-webhook'
import type { SqliteCommit } from 'conversion-webhook/sqlite'
import { maskAddresses } from '../inspector/mask.js'
import { shorten, printable } from '../util/printable.js'
import { painter, printJson, printLine, textOf, type Io, type Paint } from './io.js'

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

/** As long as the order id of an accepted callback may be. */
const orderLength = 255
const messageLength = 1_000
/** As many as an answer names. */
const maxIssues = 20

/** Seven or more digits, of any script, with the marks of phone numbers, the invisible ones too that come along when one is pasted. */
const digits = /[\p{Nd}\p{Pd}\p{Cf}\s+＋()./·]{7,}/gu
const encodedMark = /%(?:25)*2[0-9a-f]/gi

/**
 * Registrations pass the e-mail address or the mobile number as order id, or both; digits alone may be a number, too, and keep three to be
 * told apart. Beside letters digits are a number after a plus sign, or where an address is.
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

/** A line for each callback and each delivery; no names, no addresses, no secrets. */
export class Log {
  /** Handlers and observers that only tell. */
  readonly handlers: ConversionHandlers<string, SqliteCommit>
  readonly #io: Io
  readonly #isJson: boolean
  readonly #paint: Paint
  /** Refusals and conflicts that were told, and whose answers are still to come. */
  #toldBefore = 0

  constructor(io: Io, isJson: boolean) {
    this.#io = io
    this.#isJson = isJson
    this.#paint = painter(io.out, io.env)
    const delivered = ({ orderId }: Conversion, { event, id }: ConversionContext): void => {
      const at = new Date()
      // The first delivery can be faster than the answer, and people read the answer first.
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
        this.#toldBefore++
        this.#print({ what: 'refused', about: code, id, issues })
      },
      onConflict: ({ id, conversion: { status, orderId }, recorded, differs }) => {
        const message = `differs in ${differs.map(({ parameter }) => parameter).join(', ')}`
        // A delivery that is refused because another claim has the order was answered long ago.
        const isAnswer = id.includes(':conflict:')
        if (isAnswer) this.#toldBefore++
        const about = isAnswer ? `${status}, recorded as ${recorded.status}` : `${status}, another claim has the order`
        this.#print({ what: isAnswer ? 'conflict' : 'refused', about, orderId, id, message })
      },
      onError: ({ stage, error }) => {
        this.#print({ what: 'failed', about: stage, message: textOf(error) })
      },
    }
  }

  /** Tells what becomes of a request. */
  watch(req: IncomingMessage, res: ServerResponse): void {
    res.once('finish', () => {
      const { conversion } = req as IncomingMessage & { conversion?: RequestConversion }
      const { statusCode: status } = res
      if (conversion) {
        const { outcome, orderId, id } = conversion
        this.#print({ what: outcome, about: conversion.status, orderId, id })
      } else if ([400, 409, 422].includes(status) && this.#toldBefore > 0) this.#toldBefore--
      else this.#print({ what: 'answered', about: `${req.method ?? ''} with ${String(status)}`, status })
    })
  }

  #print({ orderId: order, issues: all, message: text, ...rest }: Entry, at = new Date()): void {
    const entry: Entry = {
      ...rest,
      ...(order !== undefined && { orderId: maskOrder(order) }),
      ...(all && { issues: all.slice(0, maxIssues) }),
      ...(text !== undefined && { message: shorten(text, messageLength, maskAddresses) }),
    }
    if (this.#isJson) {
      printJson(this.#io.out, { at, ...entry }, 0)
      return
    }
    const { what, about = '', orderId = '', issues = [], message = '' } = entry
    const rules = issues.map(({ message }) => message).join('; ')
    const time = this.#paint('dim', at.toTimeString().slice(0, 8))
    const texts = [about.padEnd(12), orderId, rules, message].map(printable).join('  ').trimEnd()
    printLine(this.#io.out, `${time}  ${this.#paint(styles[what], what.padEnd(9))}  ${texts}`)
  }
}
