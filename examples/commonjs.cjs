// Express in CommonJS, with a handler for each event. The handler of goalComplete is registered later.
const express = require('express')
const { conversionWebhook } = require('conversion-webhook')

const webhook = conversionWebhook({
  onSuccess: ({ orderId, purchaseValue }) => console.log('success', orderId, purchaseValue),
  // If previous.status is 'success', the success was delivered, and its reward has to be taken back.
  onFail: ({ orderId }, { previous }) => console.log('fail', orderId, 'after', previous?.status),
  onPending: ({ orderId }) => console.log('pending', orderId),
})
webhook.on('goalComplete', ({ referrer }) => console.log('goal complete for', referrer.name))

const app = express()
app.use('/webhook', webhook)

const server = app.listen(process.env.PORT ?? 3000, () => {
  console.log(`Callbacks go to http://localhost:${server.address().port}/webhook`)
})
