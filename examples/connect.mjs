// Connect 3, with the secret as the last segment of the path.
import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import connect from 'connect'
import { conversionWebhook } from 'conversion-webhook'

const secret = process.env.CONVERSION_WEBHOOK_SECRET ?? randomBytes(24).toString('base64url')

const app = connect()
app.use('/webhook', conversionWebhook({ onSuccess: ({ orderId }) => console.log('success', orderId) }, { secret }))

const server = createServer(app).listen(process.env.PORT ?? 3000, () => {
  console.log(`Callbacks go to http://localhost:${server.address().port}/webhook/${secret}`)
})
