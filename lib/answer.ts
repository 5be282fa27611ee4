import type { ServerResponse } from 'node:http'
import type { NonCallback } from './callback/caller.js'
import { titleOf, type ConversionWebhookError } from './errors.js'
import type { Outcome } from './inbox/vocabulary.js'

/** An answer of the middleware. `type` is the content type, absent if there is no body. */
export interface Answer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly type?: string
  readonly body?: string
}

/** The answer to a request that is not a callback and not a mistake. */
export const emptyAnswer: Answer = { status: 204 }

export function nonCallbackAnswer(nonCallback: NonCallback): Answer {
  return 'error' in nonCallback ? problemAnswer(nonCallback.error) : nonCallback
}

export function outcomeAnswer(outcome: Exclude<Outcome, 'refused' | 'conflict'>): Answer {
  return { status: 200, type: 'application/json', body: `{"outcome":"${outcome}"}` }
}

/** Problem details (RFC 9457): the title of the code and the broken rules, never a string that came with the callback. */
export function problemAnswer({ code, status = 500, issues, headers = {} }: ConversionWebhookError): Answer {
  const problem = { type: `urn:conversion-webhook:${code}`, status, title: titleOf(code), code, issues }
  return { status, headers, type: 'application/problem+json', body: JSON.stringify(problem) }
}

/** Sends the answer, unless the app has answered already. */
export function send(res: ServerResponse, { status, headers, type, body = '' }: Answer): void {
  if (res.headersSent || res.writableEnded) return
  res.writeHead(status, {
    'Cache-Control': 'no-store',
    'X-Robots-Tag': 'noindex',
    'Referrer-Policy': 'no-referrer',
    ...headers,
    ...(type !== undefined && { 'Content-Type': type, 'Content-Length': Buffer.byteLength(body) }),
  })
  res.end(body)
}
