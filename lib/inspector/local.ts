import type { IncomingMessage } from 'node:http'

const proxyHeaders = ['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip', 'via']
const loopback = /^(([a-z0-9-]+\.)*localhost|127(\.\d{1,3}){3}|\[::1\]|::1)$/i

/** Whether an address, or a host name as in a URL, is one of this machine alone. */
export function isLoopback(name: string): boolean {
  return loopback.test(name)
}

/** Whether a request comes from this machine and names this machine. */
export function isLocal(req: IncomingMessage): boolean {
  const address = (req.socket.remoteAddress ?? '').replace(/^::ffff:/i, '')
  return isLoopback(address) && isMeantForHere(req)
}

/**
 * Whether the Host header is a loopback name or `ownName`, and the request came through no proxy. Prevents DNS rebinding: a page on the web
 * can point its own host name at this machine, so that a browser here sends the page's requests to us.
 */
export function isMeantForHere(req: IncomingMessage, ownName?: string): boolean {
  const { name } = hostOf(req)
  return (isLoopback(name) || name === ownName) && !proxyHeaders.some((header) => header in req.headers)
}

/** The parsed Host header; the name is empty if the header is invalid. */
export function hostOf({ headers: { host = '' } }: IncomingMessage): { readonly name: string; readonly port: string } {
  const [, name = '', port = '80'] = /^(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(host) ?? []
  return { name: name.toLowerCase(), port }
}
