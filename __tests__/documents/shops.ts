import { Pool } from 'pg'
import ts from 'typescript'
import * as webhooks from '../../lib/index.js'
import { postgresInbox } from '../../lib/postgres.js'
import { sqliteInbox } from '../../lib/sqlite.js'
import { eventually } from '../contract/inboxes.js'
import { params } from '../support/callbacks.js'
import { endExamples, startExample } from '../support/example.js'
import { openFile } from '../support/sqlite.js'
import { readDocument, snippets } from './markdown.js'
import type { Recipe } from './recipes.js'

/** An order of the shop, as the recipes read it. */
export interface Sale {
  readonly number: string
  readonly email?: string | null
  readonly state?: string
  /** Since it was paid; null where nobody knows. */
  readonly paidDaysAgo?: number | null
  readonly cents?: number
}

export interface Booked {
  readonly kind: string
  readonly email: string
  readonly cents: number
}

/** A shop's database. */
interface Database {
  run(sql: string, values?: readonly (string | number | null)[]): Promise<readonly unknown[]>
  /** Milliseconds as the shop's `paid_at`. */
  time(ms: number): string | number
  end(): Promise<void>
}

type Row = Awaited<ReturnType<webhooks.Inbox['list']>>[number]

export type Parameters = Readonly<Record<string, string | undefined>>

/** A recipe at work in a shop. */
export interface Shop {
  sell(sale: Sale): Promise<void>
  book(number: string, kind: string): Promise<unknown>
  /** The rewards of an order, in a fixed order. */
  booked(number: string): Promise<Booked[]>
  /** Sends a callback, and gives the newest row when every delivery has had its turn. */
  report(parameters: Parameters, scope?: string): Promise<Row | undefined>
  /** Has everything asked again that waits. */
  again(): Promise<void>
  /** A person takes out what was booked for an order, and replays the conflict of it. */
  move(number: string): Promise<void>
  close(): Promise<void>
}

const dayMs = 86_400_000
const printedTable = snippets(readDocument('docs/rewards.md')).find(({ language }) => language === 'sql')

function sqliteDatabase(file: string): Database {
  const db = openFile(file)
  return {
    // eslint-disable-next-line @typescript-eslint/require-await -- what the driver throws is a rejection
    run: async (sql, values = []) => db.prepare(sql).all(...values),
    time: (ms) => ms,
    end: () => Promise.resolve(db.close()),
  }
}

function postgresDatabase(url: string): Database {
  const pool = new Pool({ connectionString: url })
  return {
    async run(sql, values = []) {
      let count = 0
      return (
        await pool.query<object>(
          sql.replace(/\?/g, () => `$${String((count += 1))}`),
          [...values],
        )
      ).rows
    },
    time: (ms) => new Date(ms).toISOString(),
    end: () => pool.end(),
  }
}

/** Opens a shop whose order numbers have a type of SQL, and starts the recipe in it. `at` is its file or its URL. */
export async function openShop(recipe: Recipe, at: string, numberType: string): Promise<Shop> {
  const isSqlite = recipe.database === 'sqlite'
  const database = isSqlite ? sqliteDatabase(at) : postgresDatabase(at)
  const paidAt = isSqlite ? 'INTEGER' : 'timestamptz'
  await database.run(
    `CREATE TABLE orders (number ${numberType} PRIMARY KEY, email TEXT, state TEXT, paid_at ${paidAt}, total_cents INTEGER)`,
  )
  await database.run(printedTable?.code ?? '')
  const running = recipe.name.startsWith('examples/') ? await runExample(recipe, at) : runSnippet(recipe, at)
  const { inbox } = running

  const rest = () =>
    eventually(
      () => inbox.list({ limit: 500 }),
      (rows) =>
        rows.every(
          ({ state, nextAttemptAt }) =>
            state !== 'running' && (state !== 'waiting' || (nextAttemptAt?.getTime() ?? 0) > Date.now()),
        ),
    )

  /** One that is asked at this moment was asked with what was known before. */
  async function askAgain(id: string) {
    const isAskedAgain = async () => {
      const row = await inbox.get(id)
      if (row === undefined || !isOpen(row.state)) return true
      if (row.state === 'running') return false
      return inbox.replay(id).then(
        () => true,
        () => false,
      )
    }
    await eventually(isAskedAgain, Boolean)
  }

  return {
    async sell({ number, email = 'friend@shop.example', state = 'paid', paidDaysAgo = 40, cents = 10_000 }) {
      const time = paidDaysAgo === null ? null : database.time(Date.now() - paidDaysAgo * dayMs)
      await database.run(
        `INSERT INTO orders (number, email, state, paid_at, total_cents) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT (number) DO UPDATE SET state = excluded.state, paid_at = excluded.paid_at`,
        [number, email, state, time, cents],
      )
    },
    book: (number, kind) => database.run(`INSERT INTO rewards VALUES (?, ?, 'another', 'anna', 1)`, [number, kind]),
    async booked(number) {
      const sql = 'SELECT kind, email, cents FROM rewards WHERE order_number = ? ORDER BY kind'
      return (await database.run(sql, [number])) as Booked[]
    },
    async report(parameters, scope) {
      await running.send(parameters, scope)
      return (await rest())[0]
    },
    async move(number) {
      const [conflict] = await inbox.list({ orderId: number, state: 'conflict' })
      await database.run('DELETE FROM rewards WHERE order_number = ?', [number])
      await inbox.replay(conflict?.id ?? '')
      await rest()
    },
    async again() {
      for (const { id, state } of await inbox.list({ limit: 500 })) if (isOpen(state)) await askAgain(id)
      await rest()
    },
    async close() {
      await running.stop()
      await database.end()
    },
  }
}

const isOpen = (state: string) => state === 'waiting' || state === 'running'

interface Running {
  readonly inbox: webhooks.Inbox
  send(parameters: Parameters, scope?: string): Promise<unknown>
  stop(): Promise<void>
}

/** Runs a snippet as printed; only its files, its URL and its server are the test's. */
function runSnippet({ code }: Recipe, at: string): Running {
  const { outputText } = ts.transpileModule(code, {
    compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022, esModuleInterop: true },
  })
  const made: webhooks.ConversionWebhook[] = []
  const closing: (() => unknown)[] = []
  const app = { use: () => app, listen: () => undefined }
  const modules: Readonly<Record<string, unknown>> = {
    'conversion-webhook': {
      ...webhooks,
      conversionWebhook: (handlers: object, options: object) => {
        const quiet = { onError: () => undefined, onDead: () => undefined, onConflict: () => undefined, ...handlers }
        const webhook = webhooks.conversionWebhook(quiet, options)
        made.push(webhook)
        return webhook
      },
    },
    'conversion-webhook/sqlite': { sqliteInbox: () => sqliteInbox(at) },
    'conversion-webhook/postgres': { postgresInbox: () => postgresInbox({ connectionString: at }) },
    express: () => app, // callbacks come by `accept`, so that no port is needed
    'node:sqlite': {
      DatabaseSync: function open() {
        const db = openFile(at)
        closing.push(() => db.close())
        return db
      },
    },
    pg: {
      Pool: function open() {
        const pool = new Pool({ connectionString: at })
        closing.push(() => pool.end())
        return pool
      },
    },
  }
  // eslint-disable-next-line @typescript-eslint/no-implied-eval, @typescript-eslint/no-unsafe-call -- our own document
  new Function('require', 'exports', 'console', outputText)(
    (name: string) => modules[name],
    {},
    { log: () => undefined },
  )
  const [webhook] = made
  if (webhook === undefined) throw new Error('The recipe makes no webhook.')
  return {
    inbox: webhook.inbox,
    send: (parameters, scope) => webhook.accept(params(parameters), scope === undefined ? {} : { scope }),
    async stop() {
      await webhook.close()
      for (const close of closing) await close()
    },
  }
}

/** Runs an example as a process of its own, and looks at its inbox from here. */
async function runExample({ name, database }: Recipe, at: string): Promise<Running> {
  const variable = database === 'sqlite' ? { FILE: at } : { DATABASE_URL: at }
  const { url } = await startExample(name.replace('examples/', ''), variable)
  const inbox = database === 'sqlite' ? sqliteInbox(at) : postgresInbox({ connectionString: at })
  return {
    inbox,
    send: (parameters) => fetch(`${url}?${String(new URLSearchParams(params(parameters)))}`),
    async stop() {
      await inbox.close()
      await endExamples()
    },
  }
}
