// The smallest app: mounts the webhook in Express, with a handler for the event that it pays for.
import express from 'express'
import { conversionWebhook } from 'conversion-webhook'

const app = express()
app.use(
  '/webhook',
  conversionWebhook({
    // One callback can fire success *and* goalComplete: register the one you pay for.
    onGoalComplete: (conversion) => console.log('reward for', conversion.referrer.email),
  }),
)

const server = app.listen(process.env.PORT ?? 3000, () => {
  console.log(`Callbacks go to http://localhost:${server.address().port}/webhook`)
})
