import type { Conversion } from './callback/conversion.js'
import type { Outcome } from './inbox/vocabulary.js'

/**
 * The conversion of a request, with the outcome of its callback. The custom value is unknown, since the `parseCustomValue` of any webhook of
 * the app may have made it. `RequestConversion<string>` is that of a webhook without one.
 */
export type RequestConversion<Custom = unknown> = Conversion<Custom> & {
  readonly outcome: Exclude<Outcome, 'refused' | 'conflict'>
  /** The claim's id: the same for every callback of this claim. */
  readonly id: string
}

declare global {
  // eslint-disable-next-line @typescript-eslint/no-namespace -- Express types its requests by merging into this namespace
  namespace Express {
    interface Request {
      /** Set by `conversionWebhook` once the callback is recorded. */
      conversion?: RequestConversion
    }
  }
}
