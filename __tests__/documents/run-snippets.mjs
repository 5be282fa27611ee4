/*
 * Runs the snippets of a document one after another, each in a folder of its own, as its reader would: as a module beside the built package.
 * Then every webhook that the snippet made gets callbacks, and every server that it started is asked, so that handlers run too.
 */
import { Server } from 'node:net'
import { pathToFileURL } from 'node:url'
import { setTimeout as wait } from 'node:timers/promises'
import { join } from 'node:path'

const secret = process.env.CONVERSION_WEBHOOK_SECRET
const limitMs = 10_000
const statuses = ['pending', 'success', 'fail']
const people = { referrer_email: 'anna@shop.example', referee_email: 'friend@shop.example' }

const servers = new Set()
const { listen } = Server.prototype
Server.prototype.listen = function listenAnywhere(port, ...rest) {
  servers.add(this)
  return listen.call(this, typeof port === 'number' ? 0 : port, ...rest)
}

/** What the stand-in for the package's entry tells of webhooks and of failed handlers. */
const run = (globalThis.snippetRun = { webhooks: [], failures: [] })

async function portOf(server) {
  while (server.address() === null) await wait(5)
  return server.address().port
}

/** Whether the webhook answers on one of the paths on which the documents mount it. */
async function ask(server, accepts) {
  const port = await portOf(server)
  const paths = ['/webhook', `/webhook/${secret}`, '/webhook/spring', '/admin/conversions/', '/']
  const query = new URLSearchParams(accepts)
  for (const path of paths) {
    const answer = await fetch(`http://127.0.0.1:${port}${path}?${query}`, { headers: { 'X-Webhook-Secret': secret } })
    const text = await answer.text()
    if (/"(outcome|code)":"/.test(text)) return
  }
  throw new Error('no path answers as a webhook does')
}

async function exercise({ folder, base }) {
  const { sampleParams } = await import('conversion-webhook/testing')
  if (base) {
    const { app } = await import(pathToFileURL(join(folder, 'bases/app.mjs')).href)
    if (servers.size === 0 && (app.router?.stack.length ?? 0) > 0) app.listen(0)
  }
  for (const server of servers) {
    if (run.webhooks.length > 0) await ask(server, sampleParams({ ...people, orderID: 'asked' }))
  }
  run.failures = run.failures.filter(({ stage }) => stage !== 'scope') // of a path that another mount has
  for (const webhook of run.webhooks) {
    for (const conversion of statuses) {
      await webhook.accept(sampleParams({ ...people, orderID: 'accepted', conversion, campaign: 'spring' }))
    }
    await settle(webhook.inbox)
  }
}

/** A handler that fails says so before its next attempt. */
async function settle(inbox) {
  for (;;) {
    const rows = await inbox.list({ limit: 100 })
    if (run.failures.length > 0) return
    if (rows.every(({ state }) => state !== 'waiting' && state !== 'running')) return
    await wait(10)
  }
}

async function end() {
  for (const server of servers) {
    server.close()
    server.closeAllConnections?.()
  }
  servers.clear()
  for (const webhook of run.webhooks.splice(0)) await webhook.close()
}

for (const job of JSON.parse(process.argv[2])) {
  process.chdir(job.folder)
  run.failures = []
  let fault
  try {
    const late = wait(limitMs, undefined, { ref: false }).then(() => {
      throw new Error(`it does not end within ${limitMs} ms`)
    })
    await Promise.race([import(pathToFileURL(job.file).href).then(() => exercise(job)), late])
    if (run.failures.length > 0) throw run.failures[0].error
  } catch (error) {
    fault = String((run.failures[0]?.error ?? error)?.stack ?? error)
  }
  await Promise.race([end(), wait(limitMs, undefined, { ref: false })])
  process.send({ name: job.name, fault })
}
process.exit()
