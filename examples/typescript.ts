/*
 * TypeScript: campaigns as scopes, a typed custom value, and observers. It gives points, not money: that needs `confirm`, as in
 * `rewards.ts`. Node 24 runs it as it is: `node examples/typescript.ts`.
 */
import { randomBytes } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import express from 'express'
import { conversionWebhook } from 'conversion-webhook'

/** What the shop passed as custom value for each referrer: `tier:gold`. */
interface Tier {
  readonly tier: string
}

/** Without the variable a new one at each start: a secret that stands in an example is none. */
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

// No new requests, then the handlers that still run, then the end.
process.once('SIGTERM', () => {
  server.prependListener('request', (_req, res) => {
    res.shouldKeepAlive = false // or a client that asks again and again holds us
  })
  server.close(() => {
    void webhook.close().then(() => {
      console.log('closed')
    })
  })
  setTimeout(() => {
    server.closeAllConnections() // nor does one that never finishes its request
  }, 2_000).unref()
})
