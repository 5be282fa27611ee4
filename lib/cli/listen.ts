import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Command } from 'commander'
import { conversionWebhook, type ConversionWebhook } from 'conversion-webhook'
import { conversionInspector } from 'conversion-webhook/inspector'
import { sqliteInbox, type SqliteCommit } from 'conversion-webhook/sqlite'
import { Door } from '../inspector/door.js'
import { isMeantForHere } from '../inspector/local.js'
import { wholeNumber } from './arguments.js'
import { failure, painter, print, printJson, usage, type Io } from './io.js'
import { Log } from './log.js'
import { claimFile } from './own-file.js'

const mount = '/webhook'

interface ListenOptions {
  readonly file: string
  readonly port: number
  readonly host: string
  readonly secret?: string
  readonly quiet?: true
  readonly json?: true
}

export function listenCommand(io: Io): Command {
  return new Command('listen')
    .summary('receive callbacks without any code')
    .description(
      'Receives callbacks into a SQLite file, logs them, and serves the inspector to the first browser that opens its URL. Each callback is on disk before it is answered.',
    )
    .option('--file <path>', 'a SQLite file that only listen uses; created if missing', 'conversion-webhook-listen.db')
    .option('--port <n>', 'the port; 0: any free port', wholeNumber(0, 65_535), 3000)
    .option('--host <address>', 'the address to listen on; 0.0.0.0: all', '127.0.0.1')
    .option('--secret <text>', 'the secret (default: CONVERSION_WEBHOOK_SECRET, or a new one each time)')
    .option('--quiet', 'no log')
    .option('--json', 'print JSON: a line with the URLs, then a line for each callback and delivery')
    .action(async (options: ListenOptions) => {
      const secret = options.secret ?? secretOf(io) ?? randomBytes(24).toString('base64url')
      const log = options.quiet ? undefined : new Log(io, options.json === true)
      const inbox = sqliteInbox(claimFile(options.file))
      const webhook = conversionWebhook(log?.handlers ?? settleAll, { secret, inbox })
      try {
        const hostname = hostnameOf(options.host)
        const door = io.env.NODE_ENV === 'production' ? undefined : new Door((req) => isMeantForHere(req, hostname))
        const server = createServer(routes(webhook, door, log))
        const origin = `http://${hostname}:${String(await start(server, options))}`
        const callbacks = `${origin}${mount}/${encodeURIComponent(secret)}`
        announce(io, options, callbacks, door && `${origin}/?token=${door.token}`)
        if (!io.interrupted.aborted) await once(io.interrupted, 'abort')
        await stop(server)
      } finally {
        await webhook.close()
      }
      if (!options.json) print(io.err, 'Ended. Nothing is lost: start again with the same file.')
    })
}

/** Handlers that do nothing, since the inbox has stored the conversion: without handlers the deliveries would stay waiting. */
const settle = (): undefined => undefined
const settleAll = { onSuccess: settle, onFail: settle, onPending: settle, onGoalComplete: settle }

function secretOf({ env }: Io): string | undefined {
  const listed = env.CONVERSION_WEBHOOK_SECRET?.split(',')[0]?.trim()
  return listed === '' ? undefined : listed
}

/** The webhook under its path, the inspector everywhere else. */
function routes(webhook: ConversionWebhook<string, SqliteCommit>, door: Door | undefined, log: Log | undefined) {
  const inspector = door && conversionInspector(webhook.inbox, { authorize: (req) => door.isOpenTo(req) })
  return (req: IncomingMessage, res: ServerResponse): void => {
    const url = req.url ?? '/'
    const notFound = (): void => {
      res.writeHead(404, { 'Content-Type': 'text/plain' }).end('Not found\n')
    }
    const isMounted = url.startsWith(mount) && ['/', '?', undefined].includes(url[mount.length])
    if (!isMounted) {
      if (!door || !inspector) notFound()
      else if (door.admits(req, res)) inspector(req, res, notFound)
      return
    }
    log?.watch(req, res)
    req.url = url.slice(mount.length) || '/'
    webhook(req, res, notFound)
  }
}

async function start(server: Server, { port, host }: ListenOptions): Promise<number> {
  try {
    await once(server.listen(port, host), 'listening')
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'EADDRINUSE') throw failure(`port ${String(port)} is in use: choose another with --port`)
    throw usage(`--host or --port cannot be used: ${message}`)
  }
  return (server.address() as AddressInfo).port
}

const graceMs = 2_000

/**
 * Answers the requests that have arrived, and closes each connection after its answer. Closes idle connections at once, and all others
 * after `graceMs`: a client that sent half a request would keep the server open forever.
 */
async function stop(server: Server): Promise<void> {
  server.prependListener('request', (_req, res) => {
    res.shouldKeepAlive = false
  })
  const impatience = setTimeout(() => {
    server.closeAllConnections()
  }, graceMs)
  server.close().closeIdleConnections()
  await once(server, 'close')
  clearTimeout(impatience)
}

/** The host name for URLs that lead to this server. */
function hostnameOf(host: string): string {
  if (['0.0.0.0', '::'].includes(host)) return 'localhost'
  return (host.includes(':') ? `[${host}]` : host).toLowerCase()
}

function announce(io: Io, { json, file, secret }: ListenOptions, callbacks: string, inspector?: string): void {
  if (json) {
    printJson(io.out, { listening: { callbacks, inspector, file } }, 0)
    return
  }
  const paint = painter(io.out, io.env)
  const isNewSecret = secret === undefined && secretOf(io) === undefined
  const lines = [
    `Receiving into ${file}`,
    `  callbacks  ${paint('bold', callbacks)}`,
    inspector && `  inspector  ${paint('bold', inspector)}`,
    'Try it, in another terminal:',
    `  npx --no -- conversion-webhook send '${callbacks}'`,
    isNewSecret && 'Each start makes a new secret: set a lasting one with --secret or CONVERSION_WEBHOOK_SECRET.',
    inspector && 'The URL of the inspector works once, in one browser, and is new each time.',
    'Ctrl-C ends it; nothing is lost.\n',
  ]
  print(io.out, ...lines.filter((line) => typeof line === 'string'))
}
