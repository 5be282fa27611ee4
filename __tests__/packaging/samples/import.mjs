// An ES module app with Express, which gets a callback over a socket.
import assert from 'node:assert/strict'
import express from 'express'
import { conversionWebhook } from 'conversion-webhook'

const orders = []
const app = express()
app.use(
  '/webhook',
  conversionWebhook(
    { onSuccess: ({ orderId }) => orders.push(orderId) },
    { secret: 'a-secret-of-the-sample', allowFrom: ['127.0.0.0/8'], schema: { required: ['orderID'] } },
  ),
)
const server = app.listen(0, '127.0.0.1', async () => {
  const base = `http://127.0.0.1:${server.address().port}/webhook/a-secret-of-the-sample`
  const answer = await fetch(`${base}?conversion=success&orderID=A1`)
  assert.deepEqual(await answer.json(), { outcome: 'accepted' })
  assert.equal((await fetch(`${base}?conversion=success&referee_email=a@example.com`)).status, 422)
  assert.deepEqual(orders, ['A1'])
  server.closeAllConnections()
  server.close(() => console.log(`import works on ${process.version}`))
})
