// A CommonJS app: all exports exist, and a callback reaches its handler.
const assert = require('node:assert/strict')
const webhookPackage = require('conversion-webhook')

const { conversionWebhook, parseCallback, callbackSchema, isConversionWebhookError } = webhookPackage
assert.deepEqual(Object.keys(webhookPackage).sort(), [
  'ConversionWebhookError',
  'callbackSchema',
  'conversionWebhook',
  'isConversionWebhookError',
  'memoryInbox',
  'parseCallback',
  'redactUrl',
])

async function main() {
  const orders = []
  const webhook = conversionWebhook(
    { onSuccess: ({ orderId }) => orders.push(orderId) },
    { secret: false, allowFrom: '127.0.0.1', schema: { required: ['orderID'] } },
  )
  assert.equal((await webhook.accept('conversion=success&orderID=A1')).outcome, 'accepted')
  assert.equal((await webhook.accept('conversion=success&referee_email=a@example.com')).outcome, 'refused')
  assert.deepEqual(orders, ['A1'])
  assert.equal(parseCallback('conversion=pending&orderID=A1').ok, true)
  assert.equal(callbackSchema.type, 'object')

  // `require` and `import` in one process load the same package.
  const { conversionWebhook: fromEsm } = await import('conversion-webhook')
  assert.equal(fromEsm, conversionWebhook)
  assert.throws(() => fromEsm({}, { secret: 'short' }), isConversionWebhookError)
  console.log(`require works on ${process.version}`)
}

main()
