import type { IncomingMessage, ServerResponse } from 'node:http'
import { isConversionWebhookError, type ConversionErrorCode, type Operators } from 'conversion-webhook'
import { sendJson, sendProblem } from './answers.js'
import type { Api, ApiName } from './api.js'
import type { Overviews } from './overview.js'
import { isOwnPage, readAsk } from './ask.js'
import { findRows } from './search.js'
import { entryView } from './view.js'

interface Sources {
  readonly inbox: Operators
  readonly overviews: Overviews
}

type Asked = Readonly<Record<string, unknown>>
type Answerers = {
  readonly [Name in ApiName]: (asked: Asked, sources: Sources) => Promise<Api[Name]['answer'] | undefined>
}

/** A function for each question of the API. It resolves with undefined if the asked row does not exist. */
const answerers: Answerers = {
  overview: (_asked, { overviews }) => overviews.get(),
  rows: (asked, { inbox }) => findRows(inbox, asked, asked.unmask === true),
  async entry({ id, unmask }, { inbox }) {
    const entry = await inbox.get(id as string)
    return entry && entryView(entry, unmask === true)
  },
  async replay({ id }, { inbox }) {
    await inbox.replay(id as string)
    return {}
  },
}

/** The status for errors that the question causes. Any other error is a failure of the storage: 503. */
const statuses: Partial<Record<ConversionErrorCode, number>> = {
  ERR_CONVERSION_QUERY_INVALID: 400,
  ERR_CONVERSION_RECORD_UNKNOWN: 404,
  ERR_CONVERSION_REPLAY_IMPOSSIBLE: 409,
}

export async function answerApi(
  name: string,
  req: IncomingMessage & { body?: unknown },
  res: ServerResponse,
  sources: Sources,
): Promise<void> {
  if (!isApiName(name)) {
    sendProblem(res, 404)
    return
  }
  if (req.method !== 'POST') {
    sendProblem(res, 405, { Allow: 'POST' })
    return
  }
  if (!isOwnPage(req)) {
    sendProblem(res, 403)
    return
  }
  const read = await readAsk(req)
  if (!read.ok) {
    sendProblem(res, read.status, read.status === 413 ? { Connection: 'close' } : {})
    return
  }
  try {
    const answer = await answerers[name](read.asked, sources)
    if (answer === undefined) sendProblem(res, 404, {}, 'ERR_CONVERSION_RECORD_UNKNOWN')
    else sendJson(res, answer)
  } catch (error) {
    const code = isConversionWebhookError(error) ? error.code : undefined
    sendProblem(res, (code && statuses[code]) ?? 503, {}, code)
  }
}

function isApiName(name: string): name is ApiName {
  return Object.hasOwn(answerers, name)
}
