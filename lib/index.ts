import './express.js'

export { callbackSchema } from './callback/schema.js'
export { conversionWebhook } from './middleware.js'
export { ConversionWebhookError, isConversionWebhookError } from './errors.js'
export { memoryInbox } from './inbox/memory-inbox.js'
export { parseCallback } from './callback/parse.js'
export { redactUrl } from './callback/route.js'

export type { CallbackInput, ParseOptions, ParseResult } from './callback/parse.js'
export type {
  Conversion,
  ConversionStatus,
  FailConversion,
  PendingConversion,
  SuccessConversion,
} from './callback/conversion.js'
export type { Repair } from './callback/received.js'
export type { WebhookRequest } from './callback/route.js'
export type { JsonSchema } from './callback/reading-options.js'
export type { ParameterName } from './callback/schema.js'
export type { ConfirmAnswer } from './confirm.js'
export type { ConversionError, ConversionErrorCode, ConversionWarningCode, Issue } from './errors.js'
export type { Confirm, ConversionContext, ConversionHandler, ConversionHandlers } from './handlers.js'
export type { RequestConversion } from './express.js'
export type { Inbox } from './inbox/inbox.js'
export type { ConversionWebhook } from './middleware.js'
export type {
  ConflictingCallback,
  ConversionObservers,
  DeadDelivery,
  ErrorStage,
  Failure,
  RefusedCallback,
} from './observers.js'
export type { ConversionWebhookOptions } from './options.js'
export type { ConversionEvent, Difference, Outcome, Previous } from './inbox/vocabulary.js'
export type {
  DayCounts,
  Erased,
  HistoryEntry,
  InboxClaim,
  InboxEntry,
  InboxQuery,
  InboxRow,
  InboxState,
  InboxStats,
  Operators,
  Pruned,
} from './inbox/operators.js'
