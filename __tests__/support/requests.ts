import { readFileSync } from 'node:fs'
import { join } from 'node:path'

export type NamedText = readonly [name: string, text: string]

/** A recorded request of a real client. */
export interface CapturedRequest {
  readonly id: string
  readonly method: string
  readonly meant: readonly NamedText[]
  /** Set if the client's encoding changed the intended values. */
  readonly wire?: readonly NamedText[]
  readonly verdict: 'accept' | 'reject' | 'open'
  readonly why?: string
  readonly in: string
  /** The bytes, base64. */
  readonly raw: string
}

export const capturedRequests: readonly CapturedRequest[] = readFileSync(
  join(__dirname, '../fixtures/requests.jsonl'),
  'utf8',
)
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as CapturedRequest)
