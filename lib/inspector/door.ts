import { hash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { send, type Headers } from './answers.js'
import { hostOf } from './local.js'

const purposes = ['sec-purpose', 'purpose', 'x-moz', 'x-purpose']

const reasons = {
  unknown: 'This browser has not opened the inspector with the token that was printed in the terminal.',
  used: 'This token has been used, and it works once. If you did not use it, somebody else did and can see the inspector.',
  elsewhere: 'The inspector answers only under a host name of this machine, and not through a proxy.',
}

/**
 * Access control for an inspector without a login. A client's address proves nothing: behind a tunnel, or a proxy that adds no header, every
 * request comes from this machine. So a token that works once is printed. The browser that sends the token gets a cookie; all others are
 * refused.
 */
export class Door {
  readonly token = randomText()
  readonly #key = randomText()
  readonly #isMeant: (req: IncomingMessage) => boolean
  #isUsed = false

  /** `isMeant` tells which requests name this machine. All others are refused, also with the token or the cookie. */
  constructor(isMeant: (req: IncomingMessage) => boolean) {
    this.#isMeant = isMeant
  }

  isOpenTo(req: IncomingMessage): boolean {
    return this.#isMeant(req) && cookies(req, cookieName(req)).some((value) => isSame(value, this.#key))
  }

  /** Whether the inspector may answer. If not, this method answers the request itself. */
  admits(req: IncomingMessage, res: ServerResponse): boolean {
    const token = tokenOf(req)
    const isOpen = this.isOpenTo(req)
    if (isOpen && token === undefined) return true
    if (isOpen || this.#redeems(req, token)) this.#letIn(req, res)
    else this.#refuse(req, res, token)
    return false
  }

  /** Whether the request uses the token up. A prefetch does not: the person who then opens the URL would be refused. */
  #redeems(req: IncomingMessage, token: string | undefined): boolean {
    const isPrefetch = purposes.some((name) => name in req.headers)
    if (this.#isUsed || token === undefined || req.method !== 'GET' || isPrefetch || !this.#isMeant(req)) return false
    this.#isUsed = isSame(token, this.token)
    return this.#isUsed
  }

  /**
   * Sets the cookie and leads the browser to the URL without the token. After a link on another site, a redirect would not carry the
   * strict cookie, so this method sends a page that reloads itself.
   */
  #letIn(req: IncomingMessage, res: ServerResponse): void {
    const cookie = { 'Set-Cookie': `${cookieName(req)}=${this.#key}; HttpOnly; SameSite=Strict` }
    const link = '<p><a href="./">To the inspector</a></p>'
    if (req.headers['sec-fetch-site'] !== 'cross-site') send(res, 302, { ...cookie, Location: './' })
    else sendPage(res, 200, { ...cookie, Refresh: '0; url=./' }, 'Conversions', link)
  }

  #refuse(req: IncomingMessage, res: ServerResponse, token: string | undefined): void {
    const isTooLate = this.#isUsed && token !== undefined && isSame(token, this.token)
    const reason = reasons[!this.#isMeant(req) ? 'elsewhere' : isTooLate ? 'used' : 'unknown']
    const advice =
      'Open the inspector with the <code>?token=…</code> that was printed when the program started. If that token has been used, end the program with Ctrl-C and start it again: it prints a new one.'
    sendPage(res, 403, {}, 'The inspector is closed', `<p>${reason}</p>\n<p>${advice}</p>`)
  }
}

function randomText(): string {
  return randomBytes(32).toString('base64url')
}

function isSame(candidate: string, secret: string): boolean {
  return timingSafeEqual(hash('sha256', candidate, 'buffer'), hash('sha256', secret, 'buffer'))
}

function tokenOf({ url = '/' }: IncomingMessage): string | undefined {
  const at = url.indexOf('?')
  return url.slice(0, at) === '/' ? (new URLSearchParams(url.slice(at)).get('token') ?? undefined) : undefined
}

/** Browsers send a cookie to every port of a host, so the name holds the port that the browser uses. */
function cookieName(req: IncomingMessage): string {
  return `conversion-webhook-${hostOf(req).port}`
}

function cookies({ headers: { cookie = '' } }: IncomingMessage, name: string): string[] {
  const pairs = cookie.split(';').map((pair) => pair.trim())
  return pairs.filter((pair) => pair.startsWith(`${name}=`)).map((pair) => pair.slice(name.length + 1))
}

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
