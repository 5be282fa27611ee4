import express, { type Express } from 'express'
import type { RequestListener } from 'node:http'
import { conversionWebhook, type ConversionHandlers, type ConversionWebhookOptions } from '../../lib/index.js'
import { query } from './callbacks.js'
import { send, type Sent } from './client.js'
import { listen } from './servers.js'

/** An Express 5 app with the webhook at /webhook, for tests that do not depend on the framework. `before` may add middleware in front. */
export async function startApp(
  handlers: ConversionHandlers = {},
  options: ConversionWebhookOptions = {},
  before: (app: Express) => unknown = () => undefined,
) {
  const webhook = conversionWebhook({ onError: () => undefined, ...handlers }, { secret: false, ...options })
  const app = express()
  before(app)
  app.use('/webhook', webhook)
  const { port } = await listen(app as RequestListener)
  return {
    port,
    webhook,
    /** Sends the documented example with some parameters changed. */
    call: (changes: Readonly<Record<string, string | undefined>> = {}, sent?: Sent) =>
      send(port, `/webhook${query(changes)}`, sent),
  }
}
