import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { send } from '../inspector/answers.js'
import { hostOf, isMeantForHere } from '../inspector/local.js'

const purposes = ['sec-purpose', 'purpose', 'x-moz', 'x-purpose']

const reasons = {
  unknown: 'This browser has not opened the inspector by the URL that listen printed in its terminal.',
  used: 'This URL has been used. It works once: if it was not you who opened it, somebody else did, and sees what you would.',
  elsewhere: 'The inspector is served under the host name that listen printed, and through no proxy.',
}

/**
 * The door of the inspector behind `listen`. An address says nothing of who comes: a tunnel brings everybody in from this machine. So the
 * token in the printed URL opens it, once; the browser that brought it gets a cookie, and nobody else comes in.
 */
export class Door {
  readonly token = randomText()
  readonly #key = randomText()
  /** As it stands in the printed URL. */
  readonly #hostname: string
  #isUsed = false

  constructor(hostname: string) {
    this.#hostname = hostname
  }

  isOpenTo(req: IncomingMessage): boolean {
    return this.#isMeant(req) && cookies(req, cookieName(req)).some((value) => isSame(value, this.#key))
  }

  /** Whether the inspector may answer; where not, the request is answered. */
  admits(req: IncomingMessage, res: ServerResponse): boolean {
    const token = tokenOf(req)
    const isOpen = this.isOpenTo(req)
    if (isOpen && token === undefined) return true
    if (isOpen || this.#takes(req, token)) this.#letIn(req, res)
    else this.#refuse(req, res, token)
    return false
  }

  #isMeant(req: IncomingMessage): boolean {
    return isMeantForHere(req, this.#hostname)
  }

  /** What fetches a URL before a person does must not use it up. */
  #takes(req: IncomingMessage, token: string | undefined): boolean {
    const isPrefetch = purposes.some((name) => name in req.headers)
    if (this.#isUsed || token === undefined || req.method !== 'GET' || isPrefetch || !this.#isMeant(req)) return false
    this.#isUsed = isSame(token, this.token)
    return this.#isUsed
  }

  /**
   * Leads to the page by a URL without the token. After a link of another site a redirect would not bring the strict cookie along, and
   * a page of ours that goes on does.
   */
  #letIn(req: IncomingMessage, res: ServerResponse): void {
    const cookie = { 'Set-Cookie': `${cookieName(req)}=${this.#key}; HttpOnly; SameSite=Strict; Path=/` }
    if (req.headers['sec-fetch-site'] !== 'cross-site') send(res, 302, { ...cookie, Location: '/' })
    else
      sendPage(res, 200, { ...cookie, Refresh: '0; url=/' }, 'Conversions', '<p><a href="/">To the inspector</a></p>')
  }

  #refuse(req: IncomingMessage, res: ServerResponse, token: string | undefined): void {
    const isTooLate = this.#isUsed && token !== undefined && isSame(token, this.token)
    const reason = reasons[!this.#isMeant(req) ? 'elsewhere' : isTooLate ? 'used' : 'unknown']
    const advice =
      'Open that URL: it ends in <code>?token=…</code>. If it has been used, end listen with Ctrl-C and start it again: it prints a new one, and nothing is lost.'
    sendPage(res, 403, {}, 'The inspector is closed', `<p>${reason}</p>\n<p>${advice}</p>`)
  }
}

/** At least as hard to guess as a key of 128 bits: 256. */
function randomText(): string {
  return randomBytes(32).toString('base64url')
}

function isSame(candidate: string, secret: string): boolean {
  return timingSafeEqual(digestOf(candidate), digestOf(secret))
}

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

function tokenOf({ url = '/' }: IncomingMessage): string | undefined {
  const at = url.indexOf('?')
  return url.slice(0, at) === '/' ? (new URLSearchParams(url.slice(at)).get('token') ?? undefined) : undefined
}

/** Browsers send a cookie to every port of a host: the port is the one that the browser sees. */
function cookieName(req: IncomingMessage): string {
  return `conversion-webhook-${hostOf(req).port}`
}

function cookies({ headers: { cookie = '' } }: IncomingMessage, name: string): string[] {
  return cookie
    .split(';')
    .map((pair) => pair.trim())
    .filter((pair) => pair.startsWith(`${name}=`))
    .map((pair) => pair.slice(name.length + 1))
}

type Headers = Readonly<Record<string, string>>

function sendPage(res: ServerResponse, status: number, headers: Headers, title: string, content: string): void {
  const html = `<!doctype html>
<html lang="en">
<meta charset="utf-8" />
<meta name="viewport" content="width=device-width, initial-scale=1" />
<meta name="color-scheme" content="light dark" />
<link rel="icon" href="data:," />
<title>${title}</title>
<h1>${title}</h1>
${content}
</html>
`
  send(res, status, { 'Content-Type': 'text/html; charset=utf-8', ...headers }, html)
}
