/* The server of a flood: `node server.mjs '{"inbox":"sqlite","file":…}'`. `confirm` holds orders that begin with H; handlers fail for F. */
import express from 'express'
import { conversionWebhook, memoryInbox } from 'conversion-webhook'

const { inbox: kind, file, secret } = JSON.parse(process.argv[2])
const inbox = kind === 'memory' ? memoryInbox() : (await import('conversion-webhook/sqlite')).sqliteInbox(file)

const reward = ({ orderId = '' }) => {
  if (orderId.startsWith('F')) throw new Error(`no such order: ${'x'.repeat(100_000)}`)
}
const quiet = () => undefined
const webhook = conversionWebhook(
  { onSuccess: reward, onFail: quiet, onPending: quiet, onGoalComplete: quiet, onError: quiet },
  { secret, inbox, confirm: ({ orderId = '' }) => (orderId.startsWith('H') ? 'hold' : true) },
)
const app = express()
app.use(
  '/parsed',
  express.json({ limit: '10mb', strict: false }),
  express.urlencoded({ limit: '10mb', extended: true }),
)
app.use('/webhook', webhook)
app.use('/parsed', webhook)
// Without this handler Express would print each error.
app.use((error, _req, res, next) => (res.headersSent ? next(error) : res.status(error.status ?? 500).end()))
const server = app.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }))
process.on('message', async () => {
  const { heapUsed, rss } = process.memoryUsage()
  process.send({ heapUsed, rss, stats: await inbox.stats() })
})
process.once('disconnect', () => process.exit(1))
