/*
 * A server with a slow handler: `node pausing.mjs '{"inbox":"sqlite","file":…,"ms":…,"log":…}'`. The handler waits `ms` and then writes its
 * effect through `commit`. One line of the log says that a handler started, another how it ended. The message `{ blockMs }` blocks the event
 * loop, and `{ report }` makes the server accept a callback of that order.
 */
import { appendFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { conversionWebhook } from 'conversion-webhook'
import { sampleParams } from 'conversion-webhook/testing'
import { openInbox } from './inboxes.mjs'

const { ms, log, ...options } = JSON.parse(process.argv[2])

const say = (what, orderId) => appendFileSync(log, `${Date.now()} ${process.pid} ${what} ${orderId}\n`)

const effects = {
  sqlite: (db, orderId) => void db.prepare('INSERT INTO effects VALUES (?)').run(orderId),
  postgres: (client, orderId) => client.query('INSERT INTO effects VALUES ($1)', [orderId]),
}

async function onSuccess({ orderId }, { commit }) {
  say('starts', orderId)
  await wait(ms)
  try {
    await commit((tx) => effects[options.inbox](tx, orderId))
    say('committed', orderId)
  } catch (error) {
    say(error.code, orderId)
    throw error
  }
}

const webhook = conversionWebhook(
  { onSuccess, onError() {} },
  { secret: false, inbox: await openInbox(options), handlerTimeoutMs: 600_000, concurrency: 100 },
)

process.on('message', async ({ blockMs, report }) => {
  if (report !== undefined) {
    await webhook.accept(sampleParams({ orderID: report, goal_complete: 0 }))
    process.send({ reported: report })
  }
  if (blockMs !== undefined) {
    say('blocks', '-')
    // Blocks without using the processor, like a synchronous system call, so that many servers can block in parallel.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, blockMs)
    say('wakes', '-')
  }
})
process.once('disconnect', () => process.exit(1))
process.send({ ready: true })
