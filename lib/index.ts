import './express.js'

export { callbackSchema } from './callback/schema.js'
export { conversionWebhook } from './middleware.js'
export { ConversionWebhookError, isConversionWebhookError } from './errors.js'
export { memoryInbox } from './inbox/stores/memory.js'
export { parseCallback } from './callback/parse.js'
export { redactUrl } from './callback/redact.js'

export type { CallbackInput, ParseOptions, ParseResult } from './callback/parse.js'
export type {
  Conversion,
  ConversionStatus,
  FailConversion,
  PendingConversion,
  SuccessConversion,
} from './callback/conversion.js'
export type { Repair } from './callback/issues.js'
export type { WebhookRequest } from './callback/route.js'
export type { JsonSchema } from './callback/rules.js'
export type { ParameterName } from './callback/schema.js'
export type { ConfirmAnswer } from './confirm.js'
export type { ConversionError, ConversionErrorCode, ConversionWarningCode, Issue } from './errors.js'
export type { Confirm, ConversionContext, ConversionHandler, ConversionHandlers } from './events.js'
export type { RequestConversion } from './express.js'
export type { Difference } from './inbox/claims.js'
export type { Erased, Pruned } from './inbox/forgetting.js'
export type { HistoryEntry } from './inbox/history.js'
export type {
  DayCounts,
  Inbox,
  InboxClaim,
  InboxEntry,
  InboxQuery,
  InboxRow,
  InboxState,
  InboxStats,
  Operators,
} from './inbox/inbox.js'
export type { ConversionEvent, Outcome, Previous } from './inbox/ledger.js'
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
