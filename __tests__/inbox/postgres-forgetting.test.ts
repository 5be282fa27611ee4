import { conversionWebhook } from '../../lib/index.js'
import { postgresInbox } from '../../lib/postgres.js'
import { eventually, settled } from '../contract/inboxes.js'
import { params } from '../support/callbacks.js'
import { hasPostgres, serving } from '../support/postgres.js'

/* How many rows PostgreSQL reads for `prune` and `erase`, counted by its own statistics. */

const describePostgres = hasPostgres ? describe : describe.skip

describePostgres('prune and erase', () => {
  const postgres = serving()

  const inboxOf = (schema: string) => postgresInbox({ connectionString: postgres.url, schema })

  /** An inbox with this many delivered conversions. */
  async function fill(schema: string, conversions: number): Promise<void> {
    const inbox = inboxOf(schema)
    const webhook = conversionWebhook({ onSuccess: () => undefined }, { secret: false, inbox })
    await webhook.accept(params({ conversion: 'success', orderID: 'A', goal_complete: '0' }))
    await settled(inbox)
    await webhook.close()
    const others = `generate_series(2, ${String(conversions)}) AS others (counted)`
    await postgres.client.query(`
      INSERT INTO ${schema}.claims OVERRIDING USER VALUE SELECT (jsonb_populate_record(c, jsonb_build_object('id', md5(counted::text), 'identity', md5(counted::text)))).*
        FROM ${schema}.claims c, ${others};
      INSERT INTO ${schema}.deliveries OVERRIDING USER VALUE
        SELECT (jsonb_populate_record(d, jsonb_build_object('claim', md5(counted::text)))).*
        FROM ${schema}.deliveries d, ${others};
      ANALYZE ${schema}.claims, ${schema}.deliveries`)
  }

  /** The rows of claims and deliveries that an operation read, and its result. A connection reports its statistics when it ends. */
  async function readBy<T>(schema: string, use: (inbox: ReturnType<typeof inboxOf>) => Promise<T>) {
    const count = async () => {
      await postgres.client.query('SELECT pg_stat_force_next_flush()') // the rows that the test itself has read
      const { rows } = await postgres.client.query<{ count: string }>(
        `SELECT pg_stat_clear_snapshot(), sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) AS count
         FROM pg_stat_all_tables WHERE schemaname = $1 AND relname IN ('claims', 'deliveries')`,
        [schema],
      )
      return Number(rows[0]?.count)
    }
    const before = await count()
    const inbox = inboxOf(schema)
    const result = await use(inbox)
    await inbox.close()
    await eventually(
      () =>
        postgres.client.query('SELECT 1 FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname IS NOT NULL'),
      ({ rows }) => rows.length === 0,
    )
    return { result, rows: (await count()) - before }
  }

  test('erase reads everything once', async () => {
    await fill('erasing', 40_000)
    const { result, rows } = await readBy('erasing', (inbox) => inbox.erase({ email: 'nobody@example.org' }))
    expect(result).toEqual({ erased: 0, waiting: [] })
    expect(rows).toBeLessThan(3 * 40_000)
  })

  test('prune reads only the conversions that it empties, neither younger ones nor pruned ones', async () => {
    await fill('pruning', 10_000)
    await postgres.client.query(`
      UPDATE pruning.deliveries SET settled_at = settled_at + 86400000
        FROM generate_series(1001, 10000) AS young (counted) WHERE claim = md5(counted::text);
      ANALYZE pruning.deliveries`)
    const prune = () => readBy('pruning', (inbox) => inbox.prune({ olderThanDays: 0 }))
    const first = await prune()
    expect(first.result).toEqual({ pruned: 1_000 })
    expect(first.rows).toBeLessThan(40 * 1_000) // 500 at a time; PostgreSQL reads a small table whole each time
    const second = await prune()
    expect(second.result).toEqual({ pruned: 0 })
    expect(second.rows).toBeLessThan(100)
  })
})
