import connect from 'connect'
import express from 'express'
import express4 from 'express4'
import { readFileSync } from 'node:fs'
import { createServer, type RequestListener, type Server } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { WebhookRequest } from '../../lib/index.js'
import type { ServerResponse } from 'node:http'

/** A request handler that every framework below can mount. */
export type Middleware = (req: WebhookRequest, res: ServerResponse, next?: (error?: unknown) => void) => void

export type Mount = (path: string, middleware: Middleware) => RequestListener

/** Every framework that the package supports: a middleware mounted by `use`, and a plain Node server. */
export const frameworks: Readonly<Record<string, Mount>> = {
  'Express 5': (path, middleware) => express().use(path, middleware) as RequestListener,
  'Express 4': (path, middleware) => express4().use(path, middleware) as RequestListener,
  'Connect 3': (path, middleware) => connect().use(path, middleware),
  'node:http': (_path, middleware) => (req, res) => {
    middleware(req, res)
  },
}

export interface Listening {
  readonly port: number
  readonly url: string
  close(): Promise<void>
}

const open = new Set<Server>()

/** Starts a server on a free port of 127.0.0.1. `closeServers` ends it if the test does not. */
export async function listen(listener: RequestListener): Promise<Listening> {
  return await started(createServer(listener), 'http')
}

/**
 * A self-signed certificate for localhost, with its key, made with
 * `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 36500 -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1`.
 */
export const certificateFile = join(__dirname, 'localhost.pem')

/** Starts a server over https, with the self-signed certificate. */
export async function listenSecurely(listener: RequestListener): Promise<Listening> {
  const pem = readFileSync(certificateFile)
  return await started(createSecureServer({ key: pem, cert: pem }, listener), 'https')
}

async function started(server: Server, scheme: string): Promise<Listening> {
  open.add(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return { port, url: `${scheme}://127.0.0.1:${String(port)}`, close: () => end(server) }
}

async function end(server: Server): Promise<void> {
  open.delete(server)
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
}

/** For afterEach: closes all servers that the test has started. */
export async function closeServers(): Promise<void> {
  await Promise.all([...open].map(end))
}
