import { Client } from 'pg'
import { conversionWebhook } from '../../lib/index.js'
import { postgresInbox } from '../../lib/postgres.js'
import { settled } from '../contract/inboxes.js'
import { params } from '../support/callbacks.js'
import { hasPostgres, startServer, type Server } from '../support/postgres.js'

/* Databases whose defaults are not what the inbox needs. */

const describePostgres = hasPostgres ? describe : describe.skip

let server: Server
let client: Client
let schemas = 0
const closing: (() => unknown)[] = []

describePostgres('a database with the default', () => {
  beforeAll(async () => {
    server = await startServer()
    client = new Client({ connectionString: server.url })
    await client.connect()
    await client.query(`
      CREATE TABLE seen (setting text);
      CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN INSERT INTO seen VALUES (current_setting('synchronous_commit')); RETURN NEW; END $$`)
  })
  beforeEach(() => client.query('TRUNCATE seen'))
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close()
  })
  afterAll(async () => {
    await client.end()
    await server.stop()
  })

  function start(setting: string, schema: string, onError: (error: unknown) => void) {
    const connectionString = `${server.url}?options=${encodeURIComponent(`-c ${setting}`)}`
    const inbox = postgresInbox({ connectionString, schema })
    const webhook = conversionWebhook(
      {
        onSuccess: async ({ orderId }, { commit }) => {
          await commit((tx) => tx.query("INSERT INTO seen VALUES ('commit ' || current_setting('synchronous_commit'))"))
          if (orderId === 'fails') throw new Error('told, and not tried again')
        },
        onError: ({ error }) => {
          onError(error)
        },
      },
      { secret: false, inbox },
    )
    closing.push(() => webhook.close())
    const report = (orderID: string) => webhook.accept(params({ conversion: 'success', orderID, goal_complete: '0' }))
    return { inbox, webhook, report }
  }

  test.each([
    ['off', 'on'],
    ['local', 'local'],
    ['remote_apply', 'remote_apply'],
  ])('synchronous_commit %s commits with %s', async (set, used) => {
    const schema = `settings_${String(++schemas)}`
    const { inbox, report } = start(`synchronous_commit=${set}`, schema, () => undefined)
    await inbox.stats()
    await client.query(`CREATE TRIGGER see AFTER INSERT OR UPDATE ON ${schema}.deliveries EXECUTE FUNCTION see()`)
    await report('A')
    await settled(inbox)
    const { rows } = await client.query<{ setting: string }>('SELECT DISTINCT setting FROM seen ORDER BY 1')
    expect(rows.map(({ setting }) => setting)).toEqual([`commit ${used}`, used].sort())
  })

  test('synchronous_commit off does not undo an erase', async () => {
    const schema = `settings_${String(++schemas)}`
    const { inbox, webhook } = start('synchronous_commit=off', schema, () => undefined)
    await webhook.accept('conversion=nonsense&referee_email=example@gmail.com')
    await client.query(`CREATE TRIGGER see AFTER DELETE ON ${schema}.quarantine EXECUTE FUNCTION see()`)
    await inbox.erase({ email: 'example@gmail.com' })
    expect((await client.query('SELECT * FROM seen')).rows).toEqual([{ setting: 'on' }])
  })

  test.each(['repeatable read', 'serializable'])(
    'isolation %s causes no failure and no call of onError',
    async (isolation) => {
      const schema = `settings_${String(++schemas)}`
      const errors: unknown[] = []
      const setting = `default_transaction_isolation=${isolation.replace(' ', '\\ ')}`
      const all = Array.from({ length: 4 }, () => start(setting, schema, (error) => errors.push(error)))
      await Promise.all(all.map(({ inbox }) => inbox.stats()))
      const orders = Array.from({ length: 200 }, (_, index) => String(index))
      await Promise.all(
        all.flatMap(({ report }, each) => orders.filter((_, index) => index % all.length === each).map(report)),
      )
      for (const { inbox } of all) await settled(inbox)
      expect(errors).toEqual([])
      const counts = await client.query(`SELECT state, attempts, count(*)::int FROM ${schema}.deliveries GROUP BY 1, 2`)
      expect(counts.rows).toEqual([{ state: 'done', attempts: 1, count: 200 }])
    },
  )
})
