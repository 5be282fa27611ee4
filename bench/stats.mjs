/*
 * Why: the inspector asks for totals every two seconds, and counting a SQLite file blocks the process that has it open. How long `stats`
 * takes with a million deliveries, of which a twelfth came in the last 30 days and 3,000 today.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { conversionWebhook } from 'conversion-webhook'
import { sqliteInbox } from 'conversion-webhook/sqlite'
import { deliveries, sampleParams } from 'conversion-webhook/testing'
import { report, spread } from './support/report.mjs'

const rows = 1_000_000
const spanMs = 365 * 86_400_000
const folder = mkdtempSync(join(tmpdir(), 'conversion-webhook-stats-'))
const file = join(folder, 'conversions.db')
const inbox = sqliteInbox(file)
const webhook = conversionWebhook({ onSuccess() {} }, { secret: false, inbox })

try {
  await webhook.accept(sampleParams({ goal_complete: 0 }))
  await deliveries(inbox)
  const db = new DatabaseSync(file)
  const columns = db
    .prepare("SELECT name FROM pragma_table_info('conversion_webhook_deliveries')")
    .all()
    .map(({ name }) => name)
    .filter((name) => !['number', 'claim', 'received_at'].includes(name))
  db.exec(`
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${rows})
    INSERT INTO conversion_webhook_deliveries (claim, received_at, ${columns.join(', ')})
    SELECT i + 1, received_at - (${rows} - i) * ${spanMs / rows}, ${columns.join(', ')}
    FROM n, conversion_webhook_deliveries WHERE number = 1`)
  db.close()

  const measure = async (options) => {
    const times = []
    for (let round = 0; round < 15; round++) {
      const startedAt = performance.now()
      await inbox.stats(options)
      times.push(performance.now() - startedAt)
    }
    return { ...spread(times), unit: 'ms' }
  }
  report('stats() of a SQLite file with a million deliveries', [
    { what: 'totals', ...(await measure()) },
    { what: 'and today', ...(await measure({ days: 1 })) },
    { what: 'and 30 days', ...(await measure({ days: 30 })) },
    { what: 'and a year', ...(await measure({ days: 366 })) },
  ])
} finally {
  await webhook.close()
  rmSync(folder, { recursive: true, force: true })
}
