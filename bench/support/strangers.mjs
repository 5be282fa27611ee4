/* A server of bench/unauthenticated.mjs: `ours` mounts the package at /webhook, `bare` mounts nothing. Reports its processor time. */
import express from 'express'
import { conversionWebhook } from 'conversion-webhook'

const app = express()
if (process.argv[2] === 'ours') app.use('/webhook', conversionWebhook({}, { secret: 'a-secret-of-the-benchmark' }))
const server = app.listen(0, '127.0.0.1', () => process.send(server.address().port))
let from = process.cpuUsage()
process.on('message', (message) => {
  if (message === 'reset') {
    from = process.cpuUsage()
    return
  }
  const { user, system } = process.cpuUsage(from)
  process.send({ micros: user + system })
})
process.once('disconnect', () => process.exit())
