import type { IncomingMessage } from 'node:http'

const proxyHeaders = ['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip', 'via']
const loopbackName = /^(localhost|[a-z0-9-]+\.localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[::1\])$/i

/** Whether a request comes from this machine and was meant for it. */
export function isLocal(req: IncomingMessage): boolean {
  const address = (req.socket.remoteAddress ?? '').replace(/^::ffff:/i, '')
  return (address === '::1' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(address)) && isMeantForHere(req)
}

/**
 * Whether a request names this machine, by a loopback name or the one given, and came through no proxy: a page on the web can make a browser
 * here ask for its own host name, and let that name lead to this machine (DNS rebinding).
 */
export function isMeantForHere(req: IncomingMessage, ownName?: string): boolean {
  const { name } = hostOf(req)
  return (loopbackName.test(name) || name === ownName) && !proxyHeaders.some((header) => header in req.headers)
}

/** The Host header; no name where it is not one. */
export function hostOf({ headers: { host = '' } }: IncomingMessage): { readonly name: string; readonly port: string } {
  const [, name = '', port = '80'] = /^(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(host) ?? []
  return { name: name.toLowerCase(), port }
}
