// The types of the packed package: correct uses compile, and each wrong use is an error.
import { createServer } from 'node:http'
import express, { type Request } from 'express'
import { expectTypeOf } from 'expect-type'
import {
  conversionWebhook,
  isConversionWebhookError,
  memoryInbox,
  parseCallback,
  type Conversion,
  type ConversionContext,
  type ConversionError,
  type ConversionErrorCode,
  type ConversionHandlers,
  type ConversionWebhook,
  type Issue,
  type SuccessConversion,
} from 'conversion-webhook'

declare function grantReward(email: string | undefined): Promise<boolean>

// The smallest app of the README. A handler may return anything.
const app = express()
app.use(
  '/webhook',
  conversionWebhook({
    onGoalComplete: (conversion) => grantReward(conversion.referrer.email),
  }),
)

// The webhook can be mounted wherever a middleware can.
const webhook = conversionWebhook({}, { inbox: memoryInbox() })
app.get('/hook/:secret', webhook)
express.Router().post('/hook', webhook)
createServer(webhook)
createServer((req, res) => webhook(req, res))

// Each handler gets the conversion of its event.
conversionWebhook({
  onSuccess(conversion, context) {
    expectTypeOf(conversion.status).toEqualTypeOf<'success'>()
    expectTypeOf(conversion.referrer.customValue).toEqualTypeOf<string | undefined>()
    expectTypeOf(conversion.purchaseValue).toEqualTypeOf<number | undefined>()
    expectTypeOf(context.signal).toEqualTypeOf<AbortSignal>()
    expectTypeOf(context.previous?.status).toEqualTypeOf<'success' | 'fail' | 'pending' | undefined>()
    // @ts-expect-error the memory inbox has no transaction to commit in
    context.commit
    // @ts-expect-error conversions are read-only
    conversion.orderId = 'other'
  },
  onFail: async (conversion) => {
    expectTypeOf(conversion.status).toEqualTypeOf<'fail'>()
  },
  onPending: ({ status }) => {
    expectTypeOf(status).toEqualTypeOf<'pending'>()
  },
  onGoalComplete: ({ status }) => {
    expectTypeOf(status).toEqualTypeOf<'success'>()
  },
  onRefused: ({ code, issues, receivedAt }) => {
    expectTypeOf(code).toEqualTypeOf<ConversionErrorCode>()
    expectTypeOf(issues.at(0)?.rule).toEqualTypeOf<string | undefined>()
    expectTypeOf(receivedAt).toEqualTypeOf<Date>()
  },
})

// parseCustomValue types the custom value in every handler, observer and in confirm.
interface Coupon {
  readonly code: string
}
const typed = conversionWebhook(
  {
    onSuccess: ({ referrer }) => expectTypeOf(referrer.customValue).toEqualTypeOf<Coupon | undefined>(),
    onConflict: ({ conversion }) => expectTypeOf(conversion.referrer.customValue).toEqualTypeOf<Coupon | undefined>(),
  },
  {
    parseCustomValue: (text: string): Coupon => ({ code: text }),
    confirm: ({ referrer }) => {
      expectTypeOf(referrer.customValue).toEqualTypeOf<Coupon | undefined>()
      return 'hold'
    },
  },
)
expectTypeOf(typed).toEqualTypeOf<ConversionWebhook<Coupon>>()
typed.on('fail', ({ referrer, status }) => {
  expectTypeOf(status).toEqualTypeOf<'fail'>()
  expectTypeOf(referrer.customValue).toEqualTypeOf<Coupon | undefined>()
})
expectTypeOf(typed.on('pending', () => undefined)).toEqualTypeOf(typed)

// Options may use the request type of the framework.
conversionWebhook({}, { scope: (req: Request) => req.hostname, allowFrom: (req: Request) => req.secure })

// @ts-expect-error a misspelt handler
conversionWebhook({ onSucess: () => undefined })
// @ts-expect-error a misspelt event
webhook.on('sucess', () => undefined)
// @ts-expect-error a misspelt option
conversionWebhook({}, { secrets: 'a-secret-of-the-sample' })
// @ts-expect-error confirm may not return this value
conversionWebhook({}, { confirm: () => 'maybe' })
// @ts-expect-error the handlers are the first argument
conversionWebhook()

// A conversion narrows by its status, and nothing in it is any.
declare const conversion: Conversion
if (conversion.status === 'success') expectTypeOf(conversion).toEqualTypeOf<SuccessConversion>()
expectTypeOf(conversion.referrer.customValue).not.toBeAny()
expectTypeOf(conversion.params).toEqualTypeOf<Readonly<Record<string, string>>>()
expectTypeOf<ConversionHandlers['onSuccess']>().not.toBeAny()
expectTypeOf<ConversionContext>().toHaveProperty('id')

// Express's request type has `conversion`.
app.use('/typed', conversionWebhook({}, { respond: false }), (req, res) => {
  expectTypeOf(req.conversion?.outcome).toEqualTypeOf<'accepted' | 'duplicate' | 'stale' | undefined>()
  expectTypeOf(req.conversion?.id).toEqualTypeOf<string | undefined>()
  // Any webhook may have set it, so nobody knows what its parseCustomValue made; a check narrows it.
  expectTypeOf(req.conversion?.referrer.customValue).toEqualTypeOf<unknown>()
  expectTypeOf(req.conversion?.referrer.email).toEqualTypeOf<string | undefined>()
  if (req.conversion?.status === 'success')
    expectTypeOf(req.conversion.purchaseValue).toEqualTypeOf<number | undefined>()
  res.end()
})

// The result of parseCallback narrows by `ok`.
const result = parseCallback('conversion=success')
if (result.ok) expectTypeOf(result.conversion).toEqualTypeOf<Conversion>()
else expectTypeOf(result.issues[0].message).toEqualTypeOf<string>()

// Codes narrow in a switch.
declare const failure: unknown
if (isConversionWebhookError(failure)) {
  expectTypeOf(failure.code).toEqualTypeOf<ConversionErrorCode>()
  // @ts-expect-error no such code
  if (failure.code === 'ERR_CONVERSION_NONE') failure
  expectTypeOf(failure).toExtend<Error>()
  expectTypeOf(failure.issues).toEqualTypeOf<readonly Issue[] | undefined>()
  switch (failure.code) {
    case 'ERR_CONVERSION_CALLBACK_REFUSED':
    case 'ERR_CONVERSION_CALLBACK_UNREADABLE':
      expectTypeOf(failure.issues).toEqualTypeOf<readonly Issue[]>()
      expectTypeOf(failure.status).toEqualTypeOf<422 | 400>()
      break
    case 'ERR_CONVERSION_OPTION_UNKNOWN':
      expectTypeOf(failure.issues).toEqualTypeOf<undefined>()
      expectTypeOf(failure.status).toEqualTypeOf<undefined>()
      break
    default:
      expectTypeOf(failure.issues).toEqualTypeOf<undefined>()
  }
}
if (isConversionWebhookError(failure) && failure.code === 'ERR_CONVERSION_CALLBACK_REFUSED') {
  expectTypeOf(failure.issues).toEqualTypeOf<readonly Issue[]>()
  expectTypeOf(failure.status).toEqualTypeOf<422>()
  expectTypeOf(failure.expose).toEqualTypeOf<boolean>()
}
// A function may take the errors of some codes.
function tell(error: ConversionError<'ERR_CONVERSION_BODY_LATE' | 'ERR_CONVERSION_BODY_OVERSIZED'>): void {
  expectTypeOf(error.status).toEqualTypeOf<408 | 413>()
}
if (isConversionWebhookError(failure) && failure.code === 'ERR_CONVERSION_BODY_LATE') tell(failure)
