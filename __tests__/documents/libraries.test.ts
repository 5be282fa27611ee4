import { Pool } from 'pg'
import ts from 'typescript'
import { conversionWebhook } from '../../lib/index.js'
import { postgresInbox, type PostgresClient } from '../../lib/postgres.js'
import { settled } from '../contract/inboxes.js'
import { params } from '../support/callbacks.js'
import { hasPostgres, startServer, type Server } from '../support/postgres.js'
import { readDocument, snippets } from './markdown.js'

/* The recipes for libraries, taken out of `docs/durability.md` and run as printed. */

const reward = { order_number: 'A', kind: 'reward', email: 'anna@shop.example', cents: 7 }
const printed = snippets(readDocument('docs/durability.md'))

interface Recipe {
  readonly book: (client: PostgresClient, row: typeof reward & { claim: string }) => Promise<void>
}

function recipe(library: string): Recipe {
  const snippet = printed.find(
    ({ code }) => code.includes(`from '${library}`) && code.includes('export async function book'),
  )
  if (snippet === undefined) throw new Error(`no recipe for ${library}`)
  const { outputText } = ts.transpileModule(snippet.code, {
    compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022, esModuleInterop: true },
  })
  const exports = {}
  // eslint-disable-next-line @typescript-eslint/no-implied-eval, @typescript-eslint/no-unsafe-call -- our own document
  new Function('require', 'exports', outputText)(require, exports)
  return exports as Recipe
}

const describePostgres = hasPostgres ? describe : describe.skip

describePostgres('the recipe for', () => {
  let server: Server
  let pool: Pool
  beforeAll(async () => {
    server = await startServer()
    process.env.DATABASE_URL = server.url
    pool = new Pool({ connectionString: server.url })
    const table = snippets(readDocument('docs/rewards.md')).find(({ code }) => code.startsWith('CREATE TABLE rewards'))
    await pool.query(table?.code ?? '')
  })
  afterAll(async () => {
    delete process.env.DATABASE_URL
    await pool.end()
    await server.stop()
  })

  test.each(['drizzle-orm', 'kysely', 'knex'])(
    '%s books once, and nothing of an attempt that fails after it',
    async (library) => {
      const { book } = recipe(library)
      await pool.query('TRUNCATE rewards')
      const attempts: number[] = []
      const inbox = postgresInbox({ connectionString: server.url, schema: `recipe_${library.replace('-', '_')}` })
      const webhook = conversionWebhook(
        {
          onSuccess: async (_conversion, { id, commit, attempt }) => {
            attempts.push(attempt)
            await commit(async (client) => {
              await book(client, { claim: id.slice(0, id.lastIndexOf(':')), ...reward })
              if (attempt === 1) throw new Error('after it')
            })
          },
          onError: () => undefined,
        },
        { secret: false, inbox },
      )
      const { id } = await webhook.accept(params({ conversion: 'success', orderID: 'A', goal_complete: '0' }))
      await settled(inbox)
      await webhook.close()
      expect(attempts).toEqual([1, 2])
      expect((await pool.query('SELECT * FROM rewards')).rows).toEqual([{ claim: id, ...reward }])
    },
  )
})
