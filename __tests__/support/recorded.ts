import type { ConversionStatus, Inbox } from '../../lib/index.js'
import { params } from './callbacks.js'

/** A webhook that may be asked. */
interface Asked {
  readonly inbox: Inbox
  accept(input: Record<string, string>): Promise<unknown>
}

/** The status of the one claim that an inbox has; undefined where it has none. */
export async function statusIn(inbox: Inbox): Promise<ConversionStatus | undefined> {
  const [row] = await inbox.list({ limit: 1 })
  const entry = row && (await inbox.get(row.id))
  return entry?.claims[0]?.status
}

/** Another amount contradicts a success, whoever says it: it changes nothing, and `onConflict` is told what is recorded. */
export function contradict(webhook: Asked): Promise<unknown> {
  return webhook.accept(params({ purchaseValue: '1' }))
}
