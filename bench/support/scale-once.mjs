/*
 * One process of bench/scale.mjs: `node scale-once.mjs <URL> <callbacks> <callbacks before>`. Records callbacks, and pays conversions of any
 * process through `commit`, until its standard input ends. Then prints its processor time.
 */
import { once } from 'node:events'
import { conversionWebhook } from 'conversion-webhook'
import { postgresInbox } from 'conversion-webhook/postgres'
import { nextCallback, rate } from './callbacks.mjs'

const [url, callbacks, before] = process.argv.slice(2)
const inbox = postgresInbox({ connectionString: url })
const webhook = conversionWebhook(
  {
    onSuccess: (_conversion, { id, commit }) =>
      commit((client) => client.query('INSERT INTO rewards VALUES ($1)', [id])),
  },
  { secret: false, inbox, confirm: () => true },
)
const accept = () => inbox.accept(nextCallback())
await rate(accept, Number(before), 20)
console.log('ready')
await once(process.stdin, 'data')
const from = process.cpuUsage()
await rate(accept, Number(callbacks), 50)
process.stdin.resume()
await once(process.stdin, 'end')
const { user, system } = process.cpuUsage(from)
await webhook.close()
console.log(JSON.stringify((user + system) / 1e6))
