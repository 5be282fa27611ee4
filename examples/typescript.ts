/*
 * TypeScript: campaigns as scopes, a typed custom value, and observers. This app gives points. An app that gives money needs `confirm`, as in
 * `rewards.ts`. Node 24 runs this file without a build: `node examples/typescript.ts`.
 */
import { randomBytes } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import express from 'express'
import { conversionWebhook } from 'conversion-webhook'

/** The custom value that the shop passes for each referrer: `tier:gold`. */
interface Tier {
  readonly tier: string
}

/** A new secret at each start unless the variable is set: a fixed one in an example would be public. */
const secret = process.env.CONVERSION_WEBHOOK_SECRET ?? randomBytes(24).toString('base64url')

const webhook = conversionWebhook(
  {
    onSuccess({ orderId = '', referrer, scope }, { id }) {
      const points = referrer.customValue?.tier === 'gold' ? 20 : 10
      // The id is the idempotency key: the same for every repeat of this conversion.
      console.log(`${String(points)} points for ${orderId} in ${scope}, key ${id}`)
    },
    onRefused: ({ code, issues }) => console.log(code, issues.map(({ message }) => message).join('; ')),
    onConflict: ({ id, recorded }) => console.log(`conflict about ${id}, recorded as ${recorded.status}`),
  },
  {
    secret,
    parseCustomValue: (text: string): Tier => ({ tier: text.replace(/^tier:/, '') }),
  },
)

const app = express()
app.use('/webhook/:campaign', webhook)

const server = app.listen(process.env.PORT ?? 3000, () => {
  const { port } = server.address() as AddressInfo
  console.log(`Callbacks go to http://localhost:${String(port)}/webhook/spring/${secret}`)
})

// Stop accepting requests, wait for the handlers that still run, then end.
process.once('SIGTERM', () => {
  server.prependListener('request', (_req, res) => {
    res.shouldKeepAlive = false // or a client that keeps sending requests would keep the server open
  })
  server.close(() => {
    void webhook.close().then(() => {
      console.log('closed')
    })
  })
  setTimeout(() => {
    server.closeAllConnections() // a client that never finishes its request would keep the server open too
  }, 2_000).unref()
})
