import { conversionWebhook } from '../../lib/index.js'
import { postgresInbox } from '../../lib/postgres.js'
import { params } from '../support/callbacks.js'
import { hasPostgres, serving } from '../support/postgres.js'
import { deferred } from '../support/recorder.js'

/* Many deliveries that fail again and again, and new ones among them. */

const describePostgres = hasPostgres ? describe : describe.skip
const failing = 400
const fresh = 60

describePostgres('a storm of retries', () => {
  const postgres = serving()

  test('does not keep new deliveries waiting, nor do these keep the retries waiting', async () => {
    const inboxOf = () => postgresInbox({ connectionString: postgres.url, schema: 'storm' })
    const accept = (webhook: ReturnType<typeof conversionWebhook>, orders: readonly string[]) =>
      Promise.all(
        orders.map((orderID) => webhook.accept(params({ conversion: 'success', orderID, goal_complete: '0' }))),
      )
    const names = (name: string, count: number) =>
      Array.from({ length: count }, (_, index) => `${name} ${String(index)}`)

    const before = conversionWebhook({}, { secret: false, inbox: inboxOf() })
    await accept(before, names('old', failing))
    await before.close()
    // All failed once, and are due again.
    await postgres.client.query(
      'UPDATE storm.deliveries SET attempts = 1, due_at = 1; UPDATE storm.job SET priority = 0',
    )

    const attempts: string[] = []
    const begun = deferred()
    const passed = deferred()
    const webhook = conversionWebhook(
      {
        onSuccess: async ({ orderId = '' }) => {
          attempts.push(orderId)
          if (attempts.length === 10) begun.resolve()
          if (attempts.filter((order) => order.startsWith('new')).length === fresh) passed.resolve()
          await new Promise((resolve) => setTimeout(resolve, 10))
          if (orderId.startsWith('old')) throw new Error('not today')
        },
        onError: () => undefined,
      },
      { secret: false, inbox: inboxOf(), concurrency: 2, maxAttempts: 1_000 },
    )
    await begun.promise
    const since = attempts.length
    await accept(webhook, names('new', fresh))
    await passed.promise
    const old = attempts.slice(since).filter((order) => order.startsWith('old')).length
    await webhook.close()
    expect(old).toBeGreaterThan(5)
    expect(old).toBeLessThan(2 * fresh)
  })
})
