import { readFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Operators } from 'conversion-webhook'
import { send, sendProblem } from './answers.js'
import { answerApi } from './api-routes.js'
import { requireInbox, resolveAuthorize, type ConversionInspectorOptions } from './options.js'
import { Overviews } from './overview.js'

/** The files of the page, by URL path: the type, and the path on disk. A function, so that importing the inspector resolves no file. */
const assets: Readonly<Record<string, readonly [type: string, file: () => string]>> = {
  '/': ['text/html', () => require.resolve('../page/page.html')],
  '/page.js': ['text/javascript', () => require.resolve('../page/page.js')],
  '/page.css': ['text/css', () => require.resolve('../page/page.css')],
}

/** A request, with the fields that Express and Connect add. */
export interface InspectorRequest extends IncomingMessage {
  originalUrl?: string | undefined
  body?: unknown
}

/** A middleware for Express, Connect and `http.createServer`; mount it under a path of its own. */
export type ConversionInspector<Req = InspectorRequest> = (
  req: Req,
  res: ServerResponse,
  next?: (error?: unknown) => void,
) => void

/**
 * A page for people who are asked why a reward did not come. It shows each received callback, what happened to it, and a button that makes
 * one more try. The page loads nothing from other hosts. Every request passes `authorize`, also those for the page itself;
 * only a URL without a slash at its end is redirected before. Without `authorize` a printed token opens the page once, on this machine.
 * Throws `ERR_CONVERSION_AUTHORIZE_MISSING` in production without `authorize`, `ERR_CONVERSION_INBOX_INVALID`,
 * `ERR_CONVERSION_OPTION_UNKNOWN` and `ERR_CONVERSION_OPTION_INVALID`.
 *
 * @example app.use('/admin/conversions', conversionInspector(webhook.inbox, { authorize: (req) => isAdmin(req) }))
 */
export function conversionInspector<Req extends InspectorRequest = InspectorRequest>(
  inbox: Operators,
  options: ConversionInspectorOptions<Req> = {},
): ConversionInspector<Req> {
  requireInbox(inbox)
  const admits = resolveAuthorize(options)
  const overviews = new Overviews(inbox)

  async function serve(req: Req, res: ServerResponse, next: (() => void) | undefined): Promise<void> {
    const url = req.url ?? '/'
    const [path = '/'] = url.split('?')
    const asset = Object.hasOwn(assets, path) ? assets[path] : undefined
    if (asset === undefined && !path.startsWith('/api/')) {
      if (next) next()
      else sendProblem(res, 404)
      return
    }
    const isRead = req.method === 'GET' || req.method === 'HEAD'
    const location = isRead && path === '/' ? slashed(req.originalUrl ?? url) : undefined
    if (location !== undefined) send(res, 302, { Location: location })
    else if (await admits(req, res)) {
      if (asset === undefined) await answerApi(path.slice('/api/'.length), req, res, { inbox, overviews })
      else if (!isRead) sendProblem(res, 405, { Allow: 'GET, HEAD' })
      else await sendAsset(res, ...asset)
    }
  }

  return function conversionInspectorMiddleware(req, res, next) {
    serve(req, res, next).catch(() => {
      sendProblem(res, 500) // without the error, which may hold recorded data
    })
  }
}

async function sendAsset(res: ServerResponse, type: string, file: () => string): Promise<void> {
  send(res, 200, { 'Content-Type': `${type}; charset=utf-8` }, await readFile(file()))
}

/** Where to redirect a URL without a slash at its end, which the relative links of the page and the path of the cookie need. */
function slashed(url: string): string | undefined {
  const [, name, query = ''] = /^[^?]*\/([^/?]+)(\?.*)?$/.exec(url) ?? []
  return name && `./${name}/${query}`
}
