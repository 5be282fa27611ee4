import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Operators } from 'conversion-webhook'
import { answerApi } from './api-routes.js'
import { assets, readAsset } from './assets.js'
import { redirect, sendAsset, sendProblem } from './answers.js'
import { requireInbox, resolveAuthorize, type ConversionInspectorOptions } from './options.js'
import { Overviews } from './overview.js'

/** What Express and Connect put on a request. */
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
 * A page for the people who are asked why a reward did not come: what arrived, what became of it, and a button that tries again. It needs
 * nothing from other hosts. Everything, the page itself too, is asked for with `authorize`.
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
  const authorize = resolveAuthorize(options)
  const overviews = new Overviews(inbox)

  async function serve(req: Req, res: ServerResponse, next: (() => void) | undefined): Promise<void> {
    const url = req.url ?? '/'
    const [path = '/'] = url.split('?')
    const asset = assets.get(path)
    const isApi = path.startsWith('/api/')
    if (asset === undefined && !isApi) {
      if (next) next()
      else sendProblem(res, 404)
      return
    }
    if (!(await authorize(req))) {
      sendProblem(res, 403)
      return
    }
    if (isApi) {
      await answerApi(path.slice('/api/'.length), req, res, { inbox, overviews })
      return
    }
    if (req.method !== 'GET' && req.method !== 'HEAD') {
      sendProblem(res, 405, { Allow: 'GET, HEAD' })
      return
    }
    const location = path === '/' ? slashed(req.originalUrl ?? url) : undefined
    if (location !== undefined) redirect(res, location)
    else if (asset) sendAsset(res, asset.type, await readAsset(asset), req.method === 'HEAD')
  }

  return function conversionInspectorMiddleware(req, res, next) {
    serve(
      req,
      res,
      next &&
        (() => {
          next()
        }),
    ).catch(() => {
      sendProblem(res, 500) // what failed may speak of what is recorded
    })
  }
}

/** Where the page is when its URL has no slash at the end, which its relative links need. */
function slashed(url: string): string | undefined {
  const [, name, query = ''] = /^[^?]*\/([^/?]+)(\?.*)?$/.exec(url) ?? []
  return name && `./${name}/${query}`
}
