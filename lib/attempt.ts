import { readCallback, toConversion, type Callback, type Conversion } from './callback/conversion.js'
import { Commits } from './commits.js'
import { readAnswer } from './confirm.js'
import { debug, shortId } from './debug.js'
import { ConversionWebhookError, type ConversionErrorCode } from './errors.js'
import type { AnyHandler, ConversionContext, Handlers } from './handlers.js'
import type { Attempt, Delivering, InboxHost, Job, RereadResult, Verdict } from './inbox/inbox.js'
import { isSuccess } from './inbox/ledger.js'
import type { RefusedRecord } from './inbox/quarantine.js'
import type { ErrorStage, FailedDelivery, Reporter } from './observers.js'
import type { Settings } from './options.js'
import { codeOf } from './record.js'
import { isThenable } from './util/kind-of.js'
import { settlesWithin } from './util/settles-within.js'
import type { Contradiction } from './inbox/vocabulary.js'

/** The webhook as its inbox sees it: makes one attempt at one delivery, and calls the observers. */
export class Host implements InboxHost {
  readonly hasConfirm: boolean
  readonly concurrency: number
  readonly handlerTimeoutMs: number
  readonly maxAttempts: number
  readonly maxHoldMs: number
  readonly closeTimeoutMs: number
  readonly handlers: Handlers
  readonly #settings: Settings
  readonly #reporter: Reporter

  constructor(handlers: Handlers, settings: Settings, reporter: Reporter) {
    this.handlers = handlers
    this.hasConfirm = settings.confirm !== undefined
    this.concurrency = settings.concurrency
    this.handlerTimeoutMs = settings.handlerTimeoutMs
    this.maxAttempts = settings.maxAttempts
    this.maxHoldMs = settings.maxHoldMs
    this.closeTimeoutMs = settings.closeTimeoutMs
    this.#settings = settings
    this.#reporter = reporter
  }

  /** Asks `confirm`, then runs the handler, under one time limit. A handler that returns no promise is done when it returns. */
  deliver(job: Attempt): Verdict | Delivering {
    const controller = new AbortController()
    const attempt = this.#attempt(job, controller.signal)
    return 'state' in attempt ? attempt : this.#within(job, attempt, controller)
  }

  /** Gives up on an attempt when its time runs out. */
  #within(job: Job, attempt: Promise<Verdict>, controller: AbortController): Delivering {
    const { handlerTimeoutMs } = this
    const verdict = settlesWithin(handlerTimeoutMs, attempt).then((isInTime) => {
      if (isInTime) return attempt
      const error = new ConversionWebhookError('ERR_CONVERSION_HANDLER_LATE', {
        values: { event: job.event, ms: handlerTimeoutMs },
      })
      controller.abort(error)
      this.#reporter.error('handler', error, failedDelivery(job))
      return { ...late, error }
    })
    const abort = (reason: Error): void => {
      controller.abort(reason)
    }
    return { verdict, finished: attempt, abort }
  }

  /** Makes the attempt. The promise never rejects. */
  #attempt(job: Attempt, signal: AbortSignal): Verdict | Promise<Verdict> {
    try {
      const conversion = this.#typed(job)
      const commits = job.commit && new Commits(job.commit)
      const context = contextOf(job, signal, commits)
      const handle = (): unknown => {
        const handler = this.handlers.of(job.event)
        return commits ? commits.endOf(() => handler?.(conversion, context)) : handler?.(conversion, context)
      }
      const { confirm } = this.#settings
      if (confirm !== undefined && isSuccess(job)) return this.#confirmed(job, conversion, context, handle)
      const handling = handle()
      if (!isThenable(handling)) return this.#done(job)
      return Promise.resolve(handling).then(
        () => this.#done(job),
        (error: unknown) => this.#failed('handler', error, job),
      )
    } catch (error) {
      return this.#failed('handler', error, job)
    }
  }

  /** Asks `confirm`, reserves the order after a yes, and runs the handler. */
  async #confirmed(
    job: Attempt,
    conversion: Conversion<unknown>,
    context: ConversionContext,
    handle: () => unknown,
  ): Promise<Verdict> {
    const isLate = (): boolean => context.signal.aborted
    let stage: keyof typeof failures = 'confirm'
    try {
      const { confirm, inbox } = this.#settings
      const said: unknown = await (confirm as AnyHandler)(conversion, context)
      const answer = readAnswer(said, Date.now(), inbox.isDurable)
      debug.delivery('%s %s confirm: %s', shortId(job.id), job.event, answer.say)
      // If `confirm` took too long, the attempt has failed already: it must not reserve the order, nor run a handler beside the retry's.
      if (isLate()) return late
      if (answer.say === 'no') return { state: 'refused' }
      if (answer.say === 'hold') return { ...held, ...(answer.until !== undefined && { until: answer.until }) }
      stage = 'inbox'
      const reserved = await job.reserve(answer.order)
      stage = 'confirm'
      if ('verdict' in reserved) return reserved.verdict
      if ('isAnotherOrder' in reserved)
        throw new TypeError('confirm named another order than before for the same claim.')
      if (isLate()) return late
      stage = 'handler'
      await handle()
      return this.#done(job)
    } catch (error) {
      return this.#failed(stage, error, job)
    }
  }

  #done({ id, event, attempt }: Job): Verdict {
    debug.delivery('%s %s done, attempt %d', shortId(id), event, attempt)
    return { state: 'done' }
  }

  #failed(stage: keyof typeof failures, error: unknown, job: Job): Verdict {
    const code = failures[stage]
    debug.delivery('%s %s %s, attempt %d', shortId(job.id), job.event, code, job.attempt)
    this.#reporter.error(stage, error, failedDelivery(job))
    return { state: 'waiting', code, error }
  }

  #typed({ event, callback }: Job): Conversion<unknown> {
    const conversion = toConversion(callback, this.#settings.parseCustomValue)
    // A pending before the success may have said `goal_complete=1`, so the success itself need not.
    return event === 'goalComplete' && conversion.status === 'success'
      ? { ...conversion, goalComplete: true }
      : conversion
  }

  conversionOf(callback: Callback): Conversion<unknown> | undefined {
    try {
      return toConversion(callback, this.#settings.parseCustomValue)
    } catch {
      return undefined // `parseCustomValue` has changed since, and throws for this string
    }
  }

  reread({ received, scope, receivedAt }: RefusedRecord): RereadResult {
    const { rules, parseCustomValue } = this.#settings
    const result = readCallback(received, rules, parseCustomValue, scope, receivedAt)
    return result.ok ? result : { ok: false, code: codeOf(result.issues), issues: result.issues }
  }

  onConflict({ callback, ...conflict }: Contradiction & { readonly callback: Callback }): void {
    const conversion = this.conversionOf(callback)
    if (conversion !== undefined) this.#reporter.conflict({ ...conflict, conversion })
  }

  onDead({ job: { id, event, callback, attempt: attempts }, error }: { job: Job; error: unknown }): void {
    debug.delivery('%s %s dead, %d attempts', shortId(id), event, attempts)
    const conversion = this.conversionOf(callback) ?? toConversion(callback)
    this.#reporter.dead({ id, event, conversion, attempts, error })
  }

  onError(error: unknown, job?: Job): void {
    if (job) debug.delivery('%s %s stuck, attempt %d', shortId(job.id), job.event, job.attempt)
    this.#reporter.error(job ? 'handler' : 'inbox', error, job && failedDelivery(job))
  }
}

/** The code that a failed attempt is recorded with, by the stage that failed. */
const failures = {
  confirm: 'ERR_CONVERSION_CONFIRM_FAILED',
  inbox: 'ERR_CONVERSION_INBOX_UNAVAILABLE',
  handler: 'ERR_CONVERSION_HANDLER_FAILED',
} as const satisfies Partial<Record<ErrorStage, ConversionErrorCode>>

/** The verdict on an attempt whose time ran out before its handler was called. */
const late = { state: 'waiting', code: 'ERR_CONVERSION_HANDLER_LATE' } as const

function contextOf({ event, id, attempt, previous }: Job, signal: AbortSignal, commits?: Commits): ConversionContext {
  return { event, id, attempt, ...(previous && { previous }), signal, ...(commits && { commit: commits.commit }) }
}

function failedDelivery({ id, event, attempt, callback }: Job): FailedDelivery {
  const orderId = callback.params.orderID?.trim()
  return { id, event, attempt, ...(orderId !== undefined && { orderId }) }
}

/** The verdict on an attempt that `confirm` answered with `'hold'` or a date. */
const held = { state: 'waiting', code: 'ERR_CONVERSION_DELIVERY_HELD' } as const
