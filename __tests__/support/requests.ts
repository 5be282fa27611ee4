import { readFileSync } from 'node:fs'
import { join } from 'node:path'

export type NamedText = readonly [name: string, text: string]

/** A request as a real client sent it. */
export interface CapturedRequest {
  readonly id: string
  readonly method: string
  readonly meant: readonly NamedText[]
  /** Where the bytes say something else than was meant. */
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
