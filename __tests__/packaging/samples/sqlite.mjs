// The SQLite inbox, loaded in both module formats. A conversion survives its webhook; on an older Node the error names the needed version.
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { isConversionWebhookError, conversionWebhook } from 'conversion-webhook'
import * as esm from 'conversion-webhook/sqlite'

const cjs = createRequire(import.meta.url)('conversion-webhook/sqlite')
const isModern = process.getBuiltinModule('node:sqlite') !== undefined

for (const [name, { sqliteInbox }] of Object.entries({ esm, cjs })) {
  const file = `${name}-${process.versions.modules}.db`
  if (!isModern) {
    assert.throws(
      () => sqliteInbox(file),
      (error) => isConversionWebhookError(error) && error.code === 'ERR_CONVERSION_NODE_UNSUPPORTED',
    )
    continue
  }
  const outcomes = []
  for (let run = 0; run < 2; run++) {
    const told = []
    const webhook = conversionWebhook(
      { onSuccess: ({ orderId }, { commit }) => commit(() => told.push(orderId)) },
      { secret: false, inbox: sqliteInbox(file) },
    )
    outcomes.push((await webhook.accept('conversion=success&orderID=A1')).outcome)
    while ((await webhook.inbox.stats()).deliveries.done === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    await webhook.close()
    assert.deepEqual(told, run === 0 ? ['A1'] : [])
  }
  assert.deepEqual(outcomes, ['accepted', 'duplicate'])
}
console.log(`the inbox works on ${process.version}`)
