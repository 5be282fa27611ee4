import type { ConversionStatus, Inbox } from '../../lib/index.js'
import { params } from './callbacks.js'

/** The part of a webhook that these functions use. */
interface Asked {
  readonly inbox: Inbox
  accept(input: Record<string, string>): Promise<unknown>
}

/** The status of the only claim in an inbox; undefined if there is none. */
export async function statusIn(inbox: Inbox): Promise<ConversionStatus | undefined> {
  const [row] = await inbox.list({ limit: 1 })
  const entry = row && (await inbox.get(row.id))
  return entry?.claims[0]?.status
}

/** Sends the same conversion with another amount. This conflict changes nothing, and `onConflict` gets the recorded conversion. */
export function contradict(webhook: Asked): Promise<unknown> {
  return webhook.accept(params({ purchaseValue: '1' }))
}
