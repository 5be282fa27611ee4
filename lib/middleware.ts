import type { ServerResponse } from 'node:http'
import { nonCallbackAnswer, emptyAnswer, outcomeAnswers, problemAnswer, send, type Answer } from './answer.js'
import { Host } from './attempt.js'
import { findNonCallback, requireCaller, requireKnownPath } from './callback/caller.js'
import { escapeHighBytes } from './util/decoding.js'
import { detached } from './util/detached.js'
import { readInput, requireScope, type CallbackInput } from './callback/parse.js'
import { readQuery } from './callback/params.js'
import { requireOptions } from './callback/reading-options.js'
import { routeFinder, scopeOf, scrubRequest, type Route, type WebhookRequest } from './callback/route.js'
import { readRequest } from './callback/request.js'
import { debug } from './debug.js'
import { ConversionWebhookError } from './errors.js'
import type { ConversionByEvent, ConversionHandler, ConversionHandlers } from './handlers.js'
import { checkHandlers, Handlers } from './handlers.js'
import type { Inbox } from './inbox/inbox.js'
import { codedError, take } from './record.js'
import { createReporter } from './observers.js'
import { optionNames, resolveOptions, type ConversionWebhookOptions } from './options.js'
import type { ConversionEvent, Outcome } from './inbox/vocabulary.js'

/** The middleware, for Express, Connect and `http.createServer`. */
export interface ConversionWebhook<Custom = string, Commit = undefined> {
  (req: WebhookRequest, res: ServerResponse, next?: (error?: unknown) => void): void
  /**
   * Registers the handler of an event that has none. Throws `ERR_CONVERSION_HANDLER_DUPLICATE` or `ERR_CONVERSION_EVENT_UNKNOWN`.
   * Delivery starts one macrotask after construction, so a synchronous call is in time.
   */
  on<E extends ConversionEvent>(event: E, handler: ConversionHandler<ConversionByEvent<Custom>[E], Commit>): this
  /**
   * Takes a callback that came another way (an imported report, a relay of yours) through the same checks, ledger and deliveries, without
   * HTTP and credential. Rejects with a coded error where the inbox could not record it or, in memory, a handler failed.
   */
  accept(input: CallbackInput, options?: { readonly scope?: string }): Promise<{ outcome: Outcome; id: string }>
  /** The inbox in use. */
  readonly inbox: Inbox<Commit>
  /** Stops claiming, waits `closeTimeoutMs` for running handlers but not for stuck ones, then aborts them and closes the inbox. Idempotent. */
  close(): Promise<void>
}

/**
 * Receives referral conversions: every valid callback becomes a typed conversion, recorded before the answer, and reaches its handlers once.
 * Throws a coded error for handlers and options that cannot work, and in production without a secret.
 *
 * @example app.use('/webhook', conversionWebhook({ onGoalComplete: (conversion) => grantReward(conversion.referrer.email) }))
 */
export function conversionWebhook<Custom = string, Commit = undefined>(
  handlers: ConversionHandlers<NoInfer<Custom>, NoInfer<Commit>>,
  options: ConversionWebhookOptions<Custom, Commit> = {},
): ConversionWebhook<Custom, Commit> {
  checkHandlers(handlers, optionNames)
  const reporter = createReporter(handlers)
  const settings = resolveOptions(options, reporter)
  const { inbox, rules, secrets } = settings
  const findRoute = routeFinder(secrets)
  const registered = new Handlers(handlers)

  /** "The way of a callback" in docs/design.md, a step a line. */
  async function receive(req: WebhookRequest, route: Route) {
    requireKnownPath(req, route)
    const nonCallback = findNonCallback(req, settings.isProduction)
    if (nonCallback) return { answer: nonCallbackAnswer(nonCallback) }
    const via = requireCaller(req, route, settings)
    const query = readQuery(escapeHighBytes(route.query), rules.wireNames, { sent: route.query })
    const scope = scopeOf(req, settings)
    const sent = await readRequest(req, query, rules.wireNames) // handlers are called later than this, when the URL is scrubbed
    if (sent === undefined) return { answer: emptyAnswer }
    const taken = await take({ ...sent, via }, scope, settings, reporter)
    if ('error' in taken) throw taken.error
    const { conversion, outcome, id } = taken
    return { conversion: Object.assign(conversion, { outcome, id }) }
  }

  function scrub(req: WebhookRequest): void {
    if (settings.scrubUrl) scrubRequest(req, secrets)
  }

  function conversionWebhookMiddleware(req: WebhookRequest, res: ServerResponse, next?: Next): void {
    const route = findRoute(req, conversionWebhookMiddleware, next !== undefined)
    if (route === undefined) {
      debug.route('not ours')
      if (settings.respond) next?.()
      else next?.(new ConversionWebhookError('ERR_CONVERSION_PATH_UNKNOWN'))
      return
    }
    const handOn = settings.respond ? undefined : next
    const answer = (what: Answer): void => {
      debug.answer('%s %d', req.method, what.status)
      if (handOn) scrub(req)
      send(res, what)
    }
    const receiving = receive(req, route)
    if (handOn === undefined) scrub(req) // all that reads URLs has run; a client that hangs up is logged at once
    receiving
      .then(
        (handled) => {
          const { conversion } = handled
          if (conversion) Object.assign(req, { conversion })
          if (!conversion) answer(handled.answer)
          else if (handOn) process.nextTick(handOn)
          else answer(outcomeAnswers[conversion.outcome])
        },
        (cause: unknown) => {
          const error = codedError(cause, reporter)
          if (handOn) process.nextTick(handOn, error)
          else answer(problemAnswer(error))
        },
      )
      .catch((cause: unknown) => {
        // Other middleware may have wrapped the response, and its wrapper threw: unheard, that would end the process.
        reporter.error('internal', cause)
        res.destroy()
      })
  }

  inbox.attach(new Host(registered, settings, reporter))

  const webhook: ConversionWebhook<Custom, Commit> = Object.assign(conversionWebhookMiddleware, {
    on(event: ConversionEvent, handler: unknown) {
      registered.on(event, handler)
      return webhook
    },
    async accept(input: CallbackInput, options: { readonly scope?: string } = {}) {
      const { scope = typeof settings.scope === 'string' ? settings.scope : '' } = requireOptions(options, ['scope'])
      requireScope(scope, secrets)
      try {
        const sent = { ...readInput(input, rules.wireNames), via: { by: 'accept' } as const }
        const { outcome, id } = await take(sent, detached(scope), settings, reporter)
        return { outcome, id }
      } catch (cause) {
        throw codedError(cause, reporter)
      }
    },
    inbox: inbox as Inbox<Commit>,
    close: () => inbox.close(),
  })
  return webhook
}

type Next = (error?: unknown) => void
