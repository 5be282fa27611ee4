/*
 * `npm start`: an app that receives callbacks into the file conversions.db, and prints a curl line to send one. `npm start -- --demo` sends a
 * fixed set of callbacks itself, prints the answers and which handlers ran, and ends.
 */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { resolve } from 'node:path'
import express from 'express'
import { conversionWebhook } from 'conversion-webhook'
import { sqliteInbox } from 'conversion-webhook/sqlite'
import { runDemo } from './demo.mjs'

const isDemo = process.argv.includes('--demo')
const secret = process.env.CONVERSION_WEBHOOK_SECRET ?? randomBytes(24).toString('base64url')
const folder = isDemo ? mkdtempSync(resolve(tmpdir(), 'conversion-webhook-demo-')) : '.'
const inbox = sqliteInbox(resolve(folder, process.env.FILE ?? 'conversions.db'))

/** The events whose handlers ran, in order. The demo reads and empties this array after each callback. */
const ran = []
const handler = (conversion, { event, previous }) => {
  ran.push(previous?.status === 'success' && event === 'fail' ? 'fail (takes the success back)' : event)
  if (!isDemo) console.log(`  ${event}:`, conversion)
}

const webhook = conversionWebhook(
  {
    onSuccess: handler,
    onFail: handler,
    onPending: handler,
    onGoalComplete: handler, // register success or goalComplete, whichever you pay for
    onRefused: ({ issues }) => isDemo || console.log('  refused:', issues.map(({ message }) => message).join('; ')),
    onConflict: ({ recorded }) => isDemo || console.log('  conflict with what is recorded:', recorded),
  },
  { secret, inbox },
)

const app = express()
if (!isDemo) {
  app.use((req, res, next) => {
    res.on('finish', () =>
      console.log(`${req.method} ${req.originalUrl} ${res.statusCode} ${req.conversion?.outcome ?? ''}`),
    )
    next()
  })
}
app.use('/webhook', webhook)

const wanted = isDemo ? 0 : (process.env.PORT ?? 3000)
const server = app.listen(wanted, '127.0.0.1', async (error) => {
  if (error) {
    console.error(`Port ${wanted} cannot be used (${error.code}): PORT=0 npm start takes a free port.`)
    process.exitCode = 1
    return
  }
  const url = `http://localhost:${server.address().port}/webhook/${secret}`
  if (isDemo) {
    process.exitCode = await runDemo({ url, ran, settled })
    await close()
    return
  }
  console.log(`Callbacks go to
  ${url}

Paste this into another terminal, once and then again:

  curl "${url}?conversion=success&referrer_name=Robert+Downy&referrer_email=example%40gmail.com&referee_name=Cristian+Bale&referee_email=example%40gmail.com&orderID=ASDXXXXX&purchaseValue=1000&referrer_converts=2&referrer_customValue=xxxxxxx&goal_complete=1"

Ctrl-C ends it.
`)
})

/** Resolves when all handlers have ended, since they run after the answer. */
async function settled() {
  for (;;) {
    const { waiting, running } = (await inbox.stats()).deliveries
    if (waiting + running === 0) return
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

async function close() {
  server.close()
  server.closeAllConnections()
  await webhook.close()
  if (isDemo) rmSync(folder, { recursive: true })
}
process.once('SIGINT', close).once('SIGTERM', close)
