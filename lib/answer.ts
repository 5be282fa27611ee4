import type { ServerResponse } from 'node:http'
import type { NonCallback } from './callback/caller.js'
import { titleOf, type ConversionWebhookError } from './errors.js'

/** An answer of the middleware. */
export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | number>>
  readonly body?: string
}

/** For every answer: no cache keeps it, no search engine lists it, and the secret in its URL goes nowhere. */
const always = { 'Cache-Control': 'no-store', 'X-Robots-Tag': 'noindex', 'Referrer-Policy': 'no-referrer' }

/** The answer to a request that is not a callback and not a mistake. */
export const emptyAnswer: Answer = { status: 204, headers: always }

export function nonCallbackAnswer(nonCallback: NonCallback): Answer {
  if ('error' in nonCallback) return problemAnswer(nonCallback.error)
  const { status, headers } = nonCallback
  return { status, headers: { ...always, ...headers } }
}

export const outcomeAnswers = {
  accepted: json(200, 'application/json', { outcome: 'accepted' }),
  duplicate: json(200, 'application/json', { outcome: 'duplicate' }),
  stale: json(200, 'application/json', { outcome: 'stale' }),
}

/** Problem details (RFC 9457): the title of the code and the broken rules, never a string that came with the callback. */
export function problemAnswer({ code, status = 500, issues, headers }: ConversionWebhookError): Answer {
  const problem = { type: `urn:conversion-webhook:${code}`, status, title: titleOf(code), code, issues }
  return json(status, 'application/problem+json', problem, headers)
}

function json(status: number, type: string, value: object, headers?: Readonly<Record<string, string>>): Answer {
  const body = JSON.stringify(value)
  return {
    status,
    headers: { ...always, ...headers, 'Content-Type': type, 'Content-Length': Buffer.byteLength(body) },
    body,
  }
}

/** Sends the answer, unless the app has answered already. */
export function send(res: ServerResponse, { status, headers, body }: Answer): void {
  if (res.headersSent || res.writableEnded) return
  res.writeHead(status, headers)
  res.end(body)
}
