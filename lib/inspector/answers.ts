import { STATUS_CODES, type ServerResponse } from 'node:http'

/** Headers of every answer: the page may load only its own files, and may be neither framed nor cached. */
const guards = {
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'X-Robots-Tag': 'noindex',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cache-Control': 'no-store',
}

export type Headers = Readonly<Record<string, string>>

/** Answers a request that has no answer yet. */
export function send(res: ServerResponse, status: number, headers: Headers, body: string | Buffer = ''): void {
  if (res.headersSent || res.writableEnded) return
  res.writeHead(status, { ...guards, ...headers, 'Content-Length': Buffer.byteLength(body) })
  res.end(body) // Node leaves the body out where the request is a HEAD
}

/** Answers as RFC 9457 describes, with the code of an error but never its message. */
export function sendProblem(res: ServerResponse, status: number, headers: Headers = {}, code?: string): void {
  const type = code === undefined ? 'about:blank' : `urn:conversion-webhook:${code}`
  const problem = { type, status, title: STATUS_CODES[status], code }
  send(res, status, { 'Content-Type': 'application/problem+json', ...headers }, JSON.stringify(problem))
}
