// Apps that fail at their start with an uncaught error, for a test of what Node prints.
import { conversionWebhook } from 'conversion-webhook'
import { conversionInspector } from 'conversion-webhook/inspector'
import { postgresInbox } from 'conversion-webhook/postgres'
import { sqliteInbox } from 'conversion-webhook/sqlite'

const secret = 'a-secret-of-the-sample'
const apps = {
  option: () => conversionWebhook({}, { secret, maxAttemps: 3 }),
  arguments: () => conversionWebhook({ secret }),
  schema: () => conversionWebhook({}, { secret, schema: { required: ['orderID'], proprieties: {} } }),
  value: () => conversionWebhook({}, { secret, fields: { orderID: [] } }),
  address: () => conversionWebhook({}, { secret, allowFrom: 'localhost' }),
  folder: () => sqliteInbox('no/such/folder.db'),
  pool: () => postgresInbox({}),
  inspector: () => conversionInspector(secret),
}
apps[process.argv[2]]()
